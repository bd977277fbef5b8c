#include "options_api.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>

#include "guard.h"
#include "manifest.h"

namespace pocketdet {

namespace {

// Sizes of the struct: before input_size was added, and now.
constexpr size_t kSizes[] = {offsetof(pocketdet_options, input_size), sizeof(pocketdet_options)};

void check_size(size_t size) {
    if (std::find(std::begin(kSizes), std::end(kSizes), size) != std::end(kSizes)) return;
    throw UsageError("options.size=" + std::to_string(size) + ": expected " +
                     std::to_string(sizeof(pocketdet_options)) +
                     "; set it with pocketdet_options_init, with the header of this library's version");
}

pocketdet_options defaults(size_t size) {
    return {size,
            POCKETDET_OF_BUNDLE,
            POCKETDET_OF_BUNDLE,
            POCKETDET_OF_BUNDLE,
            POCKETDET_OF_BUNDLE,
            POCKETDET_OF_BUNDLE,
            POCKETDET_OF_BUNDLE,
            nullptr,
            nullptr};
}

template <typename Number>
std::optional<Number> given(Number value) {
    if (value == static_cast<Number>(POCKETDET_OF_BUNDLE)) return std::nullopt;
    return value;
}

// An enum of the library whose values are those of the C API.
template <typename Enum>
std::optional<Enum> choice(int32_t value, Enum last, const char* name) {
    if (value == POCKETDET_OF_BUNDLE) return std::nullopt;
    if (value < 0 || value > static_cast<int32_t>(last)) {
        throw UsageError(std::string(name) + "=" + std::to_string(value) + ": expected a constant of pocketdet.h");
    }
    return static_cast<Enum>(value);
}

static_assert(static_cast<int>(NmsMethod::gaussian) == POCKETDET_NMS_GAUSSIAN);
static_assert(static_cast<int>(NmsMethod::linear) == POCKETDET_NMS_LINEAR);
static_assert(static_cast<int>(Arithmetic::fp16_storage) == POCKETDET_FP16_STORAGE);
static_assert(static_cast<int>(Arithmetic::fp16) == POCKETDET_FP16);
static_assert(static_cast<int>(Arithmetic::bf16_storage) == POCKETDET_BF16_STORAGE);

}  // namespace

BundleChoice bundle_choice_of(const pocketdet_options* options) {
    BundleChoice choice;
    if (options == nullptr) return choice;
    if (options->digest != nullptr) choice.digest = options->digest;
    const bool has_size = options->size > offsetof(pocketdet_options, input_size);
    if (has_size && options->input_size != nullptr) choice.size = parse_size(options->input_size);
    return choice;
}

DetectorOptions options_of(const pocketdet_options* options) {
    DetectorOptions own;
    if (options == nullptr) return own;
    check_size(options->size);
    own.score_threshold = given(options->score_threshold);
    own.nms_iou = given(options->nms_iou);
    own.nms = choice(options->nms, NmsMethod::gaussian, "nms");
    own.precision = choice(options->precision, Arithmetic::bf16_storage, "precision");
    own.rois = given(options->rois);
    own.max_detections = given(options->max_detections);
    check_options(own);
    return own;
}

}  // namespace pocketdet

pocketdet_status pocketdet_options_init(pocketdet_options* options, size_t size) {
    return pocketdet::guarded([&] {
        pocketdet::require(options, "options");
        pocketdet::check_size(size);
        const pocketdet_options values = pocketdet::defaults(size);
        std::memcpy(options, &values, size);  // the caller's struct may be of an earlier version
    });
}
