// The whole detector: a bundle in, boxes out. The stages, core calls and numbers are those of runtime/pipeline.py.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bundle.h"
#include "image.h"
#include "network.h"
#include "options.h"
#include "pipeline.h"
#include "preprocessor.h"

namespace pocketdet {

// The implementation, for programs that contain these sources; api/include has the API that is installed.
//
// Not safe from several threads at once: it keeps its workspaces. Make one per thread.
class Detector {
public:
    // Throws GraphError or EngineError for networks that cannot run, UsageError for an option out of its range.
    explicit Detector(const Bundle& bundle, const DetectorOptions& options = {});

    const Manifest& manifest() const { return manifest_; }
    Arithmetic asked() const { return asked_; }          // by the options, else the narrowest of the bundle's graphs
    Arithmetic precision() const { return precision_; }  // in use on this processor
    int threads() const { return threads_; }
    bool own_layers() const { return own_layers_; }  // or ncnn computes every layer
    // What `Detections::milliseconds` are of; one-stage detectors have other stages than two-stage ones.
    const std::vector<std::string>& stages() const { return stages_; }

    // Boxes in pixels of `image`. Throws ImageError for an image without pixels or beyond the limits of image.h,
    // EngineError.
    Detections detect(const ImageView& image);

    // The stages by themselves, for checks.
    Preprocessor& preprocessor() { return preprocessor_; }
    Pipeline& pipeline() { return *pipeline_; }

private:
    Manifest manifest_;
    Arithmetic asked_, precision_;
    int threads_;
    bool own_layers_;
    Preprocessor preprocessor_;
    std::unique_ptr<Pipeline> pipeline_;
    std::vector<std::string> stages_;
};

}  // namespace pocketdet
