#include "stages.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace pocketdet {

namespace {

std::vector<double> values_of(const ncnn::Mat& mat) {
    std::vector<double> values;
    if (mat.dims == 3) {
        for (int c = 0; c < mat.c; ++c) {
            const float* plane = mat.channel(c);
            values.insert(values.end(), plane, plane + mat.w * mat.h);
        }
    } else if (!mat.empty()) {
        const float* rows = mat;
        values.assign(rows, rows + mat.w * mat.h);
    }
    return values;
}

std::vector<double> values_of(const std::vector<Box>& boxes) {
    std::vector<double> values;
    for (const Box& box : boxes) values.insert(values.end(), {box.x1, box.y1, box.x2, box.y2});
    return values;
}

std::vector<double> row_sums(const Image& image) {
    std::vector<double> sums;
    for (int y = 0; y < image.height; ++y) {
        int64_t sum[3] = {0, 0, 0};
        const uint8_t* row = image.pixels.data() + static_cast<std::ptrdiff_t>(y) * image.width * 3;
        for (int i = 0; i < 3 * image.width; ++i) sum[i % 3] += row[i];
        for (const int64_t channel : sum) sums.push_back(static_cast<double>(channel));
    }
    return sums;
}

// A stored map as ncnn would have made it.
ncnn::Mat mat_of(const Array& array) {
    const int c = static_cast<int>(array.shape[0]);
    const int h = static_cast<int>(array.shape[1]);
    if (array.shape.size() == 2) {
        ncnn::Mat mat(h, c);
        if (!mat.empty()) std::memcpy(mat.data, array.bytes.data(), array.bytes.size());
        return mat;
    }
    const int w = static_cast<int>(array.shape[2]);
    ncnn::Mat mat(w, h, c);
    const size_t plane = sizeof(float) * static_cast<size_t>(w) * static_cast<size_t>(h);
    for (int i = 0; i < c; ++i) std::memcpy(mat.channel(i), array.bytes.data() + static_cast<size_t>(i) * plane, plane);
    return mat;
}

std::vector<Box> boxes_of(const Array& array) {
    std::vector<Box> boxes(array.shape[0]);
    if (!boxes.empty()) std::memcpy(static_cast<void*>(boxes.data()), array.bytes.data(), array.bytes.size());
    return boxes;
}

std::vector<Detection> detections_of(const Golden& golden) {
    const std::vector<Box> boxes = boxes_of(golden["boxes"]);
    const std::vector<double> scores = golden["scores"].values();
    const std::vector<double> labels = golden["labels"].values();
    std::vector<Detection> detections(boxes.size());
    for (size_t i = 0; i < boxes.size(); ++i) {
        detections[i] = {boxes[i], static_cast<float>(scores[i]), static_cast<int32_t>(labels[i]), 0};
    }
    return detections;
}

double distance(const Box& a, const Box& b) {
    return std::max(std::max(std::fabs(a.x1 - b.x1), std::fabs(a.y1 - b.y1)),
                    std::max(std::fabs(a.x2 - b.x2), std::fabs(a.y2 - b.y2)));
}

Check compare_array(const std::string& name, const Array& reference, const std::vector<double>& subject,
                    const Tolerance& tolerance) {
    return compare(name, reference.shape, reference.values(), subject, tolerance);
}

void compare_proposals(const Golden& golden, Detector& detector, const Tolerances& tol, std::vector<Check>& checks) {
    const ncnn::Mat scores = mat_of(golden["rpn_scores"]);
    const ncnn::Mat deltas = mat_of(golden["rpn_deltas"]);
    const std::vector<Proposal> proposals = detector.propose(map_of(scores), map_of(deltas));
    std::vector<double> indices;
    std::vector<Box> boxes;
    for (const Proposal& proposal : proposals) {
        indices.push_back(proposal.index);
        boxes.push_back(proposal.box);
    }
    checks.push_back(compare_array("proposals.anchors", golden["proposal_indices"], indices, {}));
    checks.push_back(
        compare_array("proposals.boxes", golden["proposal_boxes"], values_of(boxes), {0, tol.proposal_pixels}));
}

}  // namespace

Tolerances tolerances_for(Arithmetic arithmetic, const std::string& weight_storage) {
    if (weight_storage == "int8") return {1.0, 1.0, 8.0, 2e-1, 0.4, 1e-5, 1e-3, 14.0};
    if (arithmetic == Arithmetic::bf16_storage) return {5e-2, 5e-2, 8.0, 1e-1, 0.3};
    if (arithmetic == Arithmetic::fp16) return {3e-2, 3e-2, 4.0, 5e-2, 0.2};
    if (arithmetic == Arithmetic::fp16_storage) return {1e-2, 1e-2, 4.0, 5e-2, 0.2};
    return {1e-4, 1e-4, 0.1, 1e-3, 0.0};
}

std::vector<Check> compare_stages(const Golden& golden, Detector& detector) {
    const Tolerances tol = tolerances_for(detector.precision(), detector.manifest().weight_storage);
    const ImageView image = golden.image.view();
    const std::vector<uint8_t> resized = detector.resize(image);
    std::vector<Check> checks = {
        compare_array("decode", golden["image_rows"], row_sums(golden.image), {}),
        compare_array("resize", golden["resized"], {resized.begin(), resized.end()}, {}),
        compare_array("normalise", golden["normalised"], values_of(detector.preprocess(image)), {}),
    };
    const Maps maps = detector.features(mat_of(golden["normalised"]));
    const std::pair<const char*, const ncnn::Mat*> named[] = {
        {"rpn_scores", &maps.rpn_scores}, {"rpn_deltas", &maps.rpn_deltas}, {"sam", &maps.sam}};
    for (const auto& [role, map] : named) {
        const std::string name = std::string("features.") + role;
        checks.push_back(compare_array(name, golden[role], values_of(*map), {tol.features, 0, tol.least_snr_db}));
    }
    compare_proposals(golden, detector, tol, checks);
    const std::vector<Box> rois = boxes_of(golden["proposal_boxes"]);
    const ncnn::Mat sam = mat_of(golden["sam"]);
    checks.push_back(compare_array("roi_features", golden["roi_features"],
                                   values_of(detector.roi_features(map_of(sam), rois)), {tol.roi_features, 0}));
    const ncnn::Mat head = detector.head(rois.empty() ? ncnn::Mat() : mat_of(golden["roi_features"]));
    checks.push_back(compare_array("head", golden["head"], values_of(head), {tol.head, 0, tol.least_snr_db}));
    const std::vector<Detection> reference = detections_of(golden);
    const Size source{golden.image.height, golden.image.width};
    checks.push_back(
        compare_detections("boxes", reference, detector.boxes(golden["head"].floats(), rois, source), tol));
    checks.push_back(compare_detections("image to boxes", reference, detector.detect(image).found, tol));
    return checks;
}

Check compare_detections(const std::string& name, const std::vector<Detection>& reference,
                         const std::vector<Detection>& found, const Tolerances& tolerances) {
    std::vector<bool> taken(found.size(), false);
    std::vector<Box> ours, theirs;
    for (const Detection& wanted : reference) {
        size_t nearest = found.size();
        double least = std::numeric_limits<double>::infinity();
        for (size_t i = 0; i < found.size(); ++i) {
            const bool agrees = !taken[i] && found[i].label == wanted.label &&
                                distance(found[i].box, wanted.box) <= tolerances.box_pixels &&
                                std::fabs(found[i].score - wanted.score) <= tolerances.score;
            if (!agrees || distance(found[i].box, wanted.box) >= least) continue;
            nearest = i;
            least = distance(found[i].box, wanted.box);
        }
        if (nearest == found.size()) continue;
        taken[nearest] = true;
        ours.push_back(wanted.box);
        theirs.push_back(found[nearest].box);
    }
    Check check = compare(name, {ours.size(), 4}, values_of(ours), values_of(theirs), {0, tolerances.box_pixels});
    const size_t total = std::max(reference.size(), found.size());
    check.ok = check.ok && static_cast<double>(total - ours.size()) <= tolerances.lost * static_cast<double>(total);
    check.note = std::to_string(ours.size()) + "/" + std::to_string(total) + " agree";
    return check;
}

}  // namespace pocketdet
