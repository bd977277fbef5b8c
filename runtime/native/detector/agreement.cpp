#include "agreement.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace pocketdet {

namespace {

double distance(const Box& a, const Box& b) {
    return std::max(std::max(std::fabs(a.x1 - b.x1), std::fabs(a.y1 - b.y1)),
                    std::max(std::fabs(a.x2 - b.x2), std::fabs(a.y2 - b.y2)));
}

}  // namespace

Tolerances tolerances_for(Arithmetic arithmetic, const std::string& weight_storage) {
    if (weight_storage == "int8") return {1.0, 1.0, 1.0, 8.0, 2e-1, 0.4, 1e-5, 1e-3, 14.0};
    if (arithmetic == Arithmetic::bf16_storage) return {5e-2, 5e-2, 5e-2, 8.0, 1e-1, 0.3};
    if (arithmetic == Arithmetic::fp16) return {3e-2, 3e-2, 3e-2, 4.0, 5e-2, 0.2};
    if (arithmetic == Arithmetic::fp16_storage) return {1e-2, 1e-2, 1e-2, 4.0, 5e-2, 0.2};
    return {1e-4, 1e-4, 1e-3, 0.1, 1e-3, 0.0};
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
    check.proved = total > 0;
    if (!check.proved) check.note = "nothing detected: not proved";
    return check;
}

Check compare_array(const std::string& name, const Array& reference, const std::vector<double>& subject,
                    const Tolerance& tolerance) {
    return compare(name, reference.shape, reference.values(), subject, tolerance);
}

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

ncnn::Mat mat_of(const Array& array) {
    const auto side = [&](size_t axis) { return static_cast<int>(array.shape[axis]); };
    if (array.shape.size() < 3) {
        ncnn::Mat mat = array.shape.size() == 2 ? ncnn::Mat(side(1), side(0)) : ncnn::Mat(side(0));
        if (!mat.empty()) std::memcpy(mat.data, array.bytes.data(), array.bytes.size());
        return mat;
    }
    ncnn::Mat mat(side(2), side(1), side(0));
    const size_t plane = sizeof(float) * static_cast<size_t>(mat.w) * static_cast<size_t>(mat.h);
    for (int i = 0; i < mat.c; ++i) {
        std::memcpy(mat.channel(i), array.bytes.data() + static_cast<size_t>(i) * plane, plane);
    }
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

}  // namespace pocketdet
