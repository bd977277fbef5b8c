#include "options.h"

#include <string>

#include "errors.h"

namespace pocketdet {

namespace {

template <typename Number>
void check_option(const char* name, const std::optional<Number>& value, Number low, Number high) {
    if (value && !(*value >= low && *value <= high)) {
        throw UsageError(std::string(name) + "=" + std::to_string(*value) + ": expected a number from " +
                         std::to_string(low) + " to " + std::to_string(high));
    }
}

}  // namespace

int max_threads() { return POCKETDET_MAX_THREADS; }

void check_options(const DetectorOptions& options) {
    if (max_threads() > 1) {
        check_option<int>("threads", options.threads, 1, max_threads());
    } else if (options.threads != 1) {
        throw UsageError("threads=" + std::to_string(options.threads) +
                         ": expected 1, since this program's ncnn is built for single-thread inference");
    }
    check_option("score_threshold", options.score_threshold, 0.0, 1.0);
    check_option("nms_iou", options.nms_iou, 0.0, 1.0);
    check_option("rois", options.rois, 1, 10'000);
    check_option("max_detections", options.max_detections, 1, 10'000);
}

}  // namespace pocketdet
