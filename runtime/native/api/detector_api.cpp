#include <memory>
#include <mutex>

#include "bundle.h"
#include "detector.h"
#include "guard.h"
#include "image_file.h"
#include "options_api.h"

using pocketdet::guarded;
using pocketdet::require;
using pocketdet::UsageError;

static_assert(static_cast<int>(pocketdet::PixelFormat::bgr) == POCKETDET_BGR);
static_assert(static_cast<int>(pocketdet::PixelFormat::rgba) == POCKETDET_RGBA);
static_assert(static_cast<int>(pocketdet::PixelFormat::bgra) == POCKETDET_BGRA);

struct pocketdet_detector {
    pocketdet_detector(const pocketdet::Bundle& bundle, const pocketdet::DetectorOptions& options)
        : digest(bundle.digest), detector(bundle, options) {}

    std::string digest;
    pocketdet::Detector detector;
    std::mutex one_at_a_time;
};

struct pocketdet_result {
    std::vector<pocketdet_detection> found;
    std::vector<double> milliseconds;
    size_t rois;
};

struct pocketdet_image {
    pocketdet::Image image;
};

namespace {

// The view of a caller's pixels. Throws UsageError for a format or stride that cannot be, ImageError for a size.
pocketdet::ImageView view_of(const uint8_t* pixels, int32_t width, int32_t height, size_t stride, int32_t format) {
    if (format < POCKETDET_RGB || format > POCKETDET_BGRA) {
        throw UsageError("format=" + std::to_string(format) + ": expected a constant of pocketdet.h");
    }
    pocketdet::ImageView view{static_cast<pocketdet::PixelFormat>(format), height, width, pixels, 0, nullptr, 0};
    pocketdet::check_image(view);
    const size_t row = static_cast<size_t>(width) * static_cast<size_t>(pocketdet::pixel_step(view.format));
    const size_t most =
        static_cast<size_t>(PTRDIFF_MAX) / static_cast<size_t>(height);  // the last row can be addressed
    if (stride != 0 && (stride < row || stride > most)) {
        throw UsageError("stride=" + std::to_string(stride) + ": expected at least " + std::to_string(row) +
                         " bytes, or 0 for rows without gaps");
    }
    view.row_stride = static_cast<std::ptrdiff_t>(stride != 0 ? stride : row);
    return view;
}

}  // namespace

pocketdet_status pocketdet_detector_open(const char* path, const pocketdet_options* options,
                                         pocketdet_detector** detector) {
    return guarded([&] {
        require(detector, "detector");
        *detector = nullptr;
        require(path, "path");
        const pocketdet::DetectorOptions own = pocketdet::options_of(options);
        const pocketdet::BundleChoice choice = pocketdet::bundle_choice_of(options);
        const pocketdet::Bundle bundle = pocketdet::load_bundle(path, choice.digest, choice.size);
        *detector = std::make_unique<pocketdet_detector>(bundle, own).release();
    });
}

void pocketdet_detector_free(pocketdet_detector* detector) { delete detector; }

const char* pocketdet_detector_name(const pocketdet_detector* detector) {
    return detector != nullptr ? detector->detector.manifest().name.c_str() : nullptr;
}

const char* pocketdet_detector_digest(const pocketdet_detector* detector) {
    return detector != nullptr ? detector->digest.c_str() : nullptr;
}

int32_t pocketdet_detector_input_width(const pocketdet_detector* detector) {
    return detector != nullptr ? detector->detector.manifest().input.width : 0;
}

int32_t pocketdet_detector_input_height(const pocketdet_detector* detector) {
    return detector != nullptr ? detector->detector.manifest().input.height : 0;
}

size_t pocketdet_class_count(const pocketdet_detector* detector) {
    return detector != nullptr ? detector->detector.manifest().class_names.size() : 0;
}

const char* pocketdet_class_name(const pocketdet_detector* detector, int32_t label) {
    if (label < 0 || static_cast<size_t>(label) >= pocketdet_class_count(detector)) return nullptr;
    return detector->detector.manifest().class_names[static_cast<size_t>(label)].c_str();
}

pocketdet_precision pocketdet_detector_precision(const pocketdet_detector* detector) {
    return detector != nullptr ? static_cast<pocketdet_precision>(detector->detector.precision()) : POCKETDET_FP32;
}

size_t pocketdet_stage_count(const pocketdet_detector* detector) {
    return detector != nullptr ? detector->detector.stages().size() : 0;
}

const char* pocketdet_stage_name(const pocketdet_detector* detector, size_t stage) {
    return stage < pocketdet_stage_count(detector) ? detector->detector.stages()[stage].c_str() : nullptr;
}

pocketdet_status pocketdet_detect(pocketdet_detector* detector, const uint8_t* pixels, int32_t width, int32_t height,
                                  size_t stride, pocketdet_pixel_format format, pocketdet_result** result) {
    return guarded([&] {
        require(result, "result");
        *result = nullptr;
        require(detector, "detector");
        require(pixels, "pixels");
        const pocketdet::ImageView view = view_of(pixels, width, height, stride, format);
        const std::lock_guard<std::mutex> lock(detector->one_at_a_time);
        pocketdet::Detections detections = detector->detector.detect(view);
        auto own = std::make_unique<pocketdet_result>();
        for (const pocketdet::Detection& d : detections.found) {
            own->found.push_back({d.box.x1, d.box.y1, d.box.x2, d.box.y2, d.score, d.label});
        }
        own->milliseconds = std::move(detections.milliseconds);
        own->rois = detections.rois;
        *result = own.release();
    });
}

void pocketdet_result_free(pocketdet_result* result) { delete result; }

size_t pocketdet_result_count(const pocketdet_result* result) { return result != nullptr ? result->found.size() : 0; }

const pocketdet_detection* pocketdet_result_detections(const pocketdet_result* result) {
    return result != nullptr ? result->found.data() : nullptr;
}

size_t pocketdet_result_rois(const pocketdet_result* result) { return result != nullptr ? result->rois : 0; }

const double* pocketdet_result_milliseconds(const pocketdet_result* result) {
    return result != nullptr ? result->milliseconds.data() : nullptr;
}

pocketdet_status pocketdet_image_read(const char* path, pocketdet_image** image) {
    return guarded([&] {
        require(image, "image");
        *image = nullptr;
        require(path, "path");
        *image = new pocketdet_image{pocketdet::read_image(path)};
    });
}

void pocketdet_image_free(pocketdet_image* image) { delete image; }

int32_t pocketdet_image_width(const pocketdet_image* image) { return image != nullptr ? image->image.width : 0; }

int32_t pocketdet_image_height(const pocketdet_image* image) { return image != nullptr ? image->image.height : 0; }

const uint8_t* pocketdet_image_pixels(const pocketdet_image* image) {
    return image != nullptr ? image->image.pixels.data() : nullptr;
}
