// What lies between the normalised image and boxes, a class for each kind of detector.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <ncnn/mat.h>

#include "agreement.h"
#include "bundle.h"
#include "detections.h"
#include "golden.h"
#include "network.h"
#include "options.h"
#include "parity.h"

namespace pocketdet {

// Wall time between calls.
class Stopwatch {
public:
    double lap() {
        const auto now = std::chrono::steady_clock::now();
        const std::chrono::duration<double, std::milli> span = now - last_;
        last_ = now;
        return span.count();
    }

private:
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

struct Detections {
    std::vector<Detection> found;      // best first; boxes in pixels of the source image
    std::vector<double> milliseconds;  // of each stage, wall time
    size_t rois = 0;                   // proposals that a head saw; one-stage detectors have none
};

// A network, and the name of the stage that runs it.
struct StageNetwork {
    const char* stage;
    Network& network;
};

// Not safe from several threads at once: it keeps its workspaces.
class Pipeline {
public:
    explicit Pipeline(const Manifest& manifest) : input_(manifest.input), resize_(manifest.preprocessing.resize) {}
    virtual ~Pipeline() = default;

    // The names of its stages, the first of which follows "preprocess".
    virtual std::vector<std::string> stages() const = 0;

    // In the order of their stages.
    virtual std::vector<StageNetwork> networks() = 0;

    // All of them in a row, each one's time appended; boxes are in pixels of an image of `source`. Throws EngineError.
    virtual void run(const ncnn::Mat& tensor, Size source, Stopwatch& watch, Detections& detections) = 0;

    // The score threshold of `run` and `compare`.
    virtual double score_threshold() const = 0;
    virtual void set_score_threshold(double threshold) = 0;

    // Each on its own, fed with the reference's inputs. Throws EngineError.
    virtual std::vector<Check> compare(const Golden& golden, const Tolerances& tolerances) = 0;

protected:
    void to_original(std::vector<Detection>& detections, Size source) const {
        for (Detection& detection : detections) {
            detection.box = pocketdet::to_original(detection.box, source, input_, resize_);
        }
    }

    const Size input_;

private:
    const ResizeRule resize_;
};

// The one place where the kinds part. Throws GraphError or EngineError for networks that cannot run, UsageError for an
// option that the kind does not have.
std::unique_ptr<Pipeline> make_pipeline(const Bundle& bundle, const DetectorOptions& options);

}  // namespace pocketdet
