// manifest.json, versions 1 to 6: what a program must know to run a detector it has never seen. Fields, bounds and
// cross checks are those of runtime/bundle/{schema,two_stage,one_stage}.py; the meaning of the numbers is in
// docs/reference/definitions.md and docs/reference/one-stage.md.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "boxes.h"
#include "files.h"
#include "image.h"
#include "nms.h"
#include "one_stage_spec.h"
#include "precision.h"
#include "resize.h"

namespace pocketdet {

constexpr int kSchemaVersion = 6;
constexpr size_t kMaxSizes = 8;
constexpr const char* kManifestName = "manifest.json";
constexpr uint64_t kMaxManifestBytes = uint64_t{8} << 20;
constexpr uint64_t kMaxBundleBytes = uint64_t{1} << 30;
constexpr int kAnyCount = -1;  // in a shape: the number of RoIs

struct TensorSpec {
    std::string blob, role;
    std::vector<int> shape;  // without the batch
};

struct GraphSpec {
    std::string param, bin;
    TensorSpec input;
    std::vector<TensorSpec> outputs;
    bool has_int8 = false;                     // whether its weights may be int8
    Arithmetic arithmetic = Arithmetic::fp32;  // what it was made to run in

    const TensorSpec& output(const std::string& role) const;
};

struct Preprocessing {
    ChannelOrder order;
    std::array<float, 3> mean, std;
    ResizeRule resize;
    std::array<uint8_t, 3> pad;
};

struct Anchors {
    int stride;
    std::vector<float> sizes;  // width, height by turns

    int count() const { return static_cast<int>(sizes.size() / 2); }
};

struct Proposals {
    int pre_nms_top_n, post_nms_top_n;
    float nms_iou, min_size;
};

struct RoiHead {
    int alpha, pool_size, sampling_ratio;
    std::array<float, 4> delta_std;

    int channels() const { return alpha * pool_size * pool_size; }
};

struct Postprocessing {
    NmsRule rule;
    int max_detections;
    bool per_class = true;
};

// What a two-stage detector has, and a one-stage detector.
struct TwoStageParts {
    GraphSpec features, head;
    Anchors anchors;
    Proposals proposals;
    RoiHead roi_head;
    Postprocessing postprocessing;
    int head_columns;  // background, classes, four deltas
};
struct OneStageParts {
    GraphSpec model;
    OneStageSpec decode;
};

struct Manifest {
    std::string name, architecture;
    Size input;
    std::vector<Size> sizes;  // of the bundle's inputs, the default one first
    std::vector<std::string> class_names;
    Preprocessing preprocessing;
    std::variant<TwoStageParts, OneStageParts> parts;
    std::string weight_storage;  // the narrowest of all weights: fp32, fp16 or int8
    int lanes;
    std::string target;  // the machines that the layout was decided for, or empty
    std::string golden_image, golden_stages;
    std::optional<double> golden_score_threshold;  // of the golden detections, if not the detector's own
    std::map<std::string, FileEntry> files;

    const char* detector() const;  // "two-stage" or "one-stage"
    // In the order in which they run.
    std::vector<const GraphSpec*> graphs() const;
    // The narrowest of all graphs.
    Arithmetic arithmetic() const;
};

// A manifest from untrusted JSON, at one of its input sizes or the default one; `label` names the file in messages.
// All sizes are checked. Throws BundleError for text that is not JSON, a schema version that this program does not
// know, and the first field that is missing, unknown, of a wrong type, out of range or inconsistent with another;
// UsageError for a size that the bundle does not have.
Manifest parse_manifest(const std::vector<uint8_t>& data, const std::string& label, std::optional<Size> size = {});

inline bool operator==(Size a, Size b) { return a.height == b.height && a.width == b.width; }

// "320x416": height and width.
std::string size_text(Size size);

// The size in such a text, or a square of one side. Throws UsageError.
Size parse_size(const std::string& text);

}  // namespace pocketdet
