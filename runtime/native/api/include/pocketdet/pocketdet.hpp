// pocketdet's C++17 API: a detector bundle in, boxes out. Inline, over the C API, so that any compiler and standard
// library can use the shared library.
#pragma once

#include <pocketdet/pocketdet.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace pocketdet {

// Apart from the library's own classes of the same names, for programs that contain both.
inline namespace api1 {

// One sentence for the user: the file or value, what was expected, what was found.
class Error : public std::runtime_error {
public:
    Error(pocketdet_status status, const std::string& message) : std::runtime_error(message), status_(status) {}

    pocketdet_status status() const { return status_; }  // POCKETDET_BUNDLE_ERROR and others

private:
    pocketdet_status status_;
};

inline void check(pocketdet_status status) {
    if (status != POCKETDET_OK) throw Error(status, pocketdet_error_message());
}

enum class PixelFormat : pocketdet_pixel_format {
    rgb = POCKETDET_RGB,
    bgr = POCKETDET_BGR,
    rgba = POCKETDET_RGBA,
    bgra = POCKETDET_BGRA
};

enum class Nms : pocketdet_nms {
    hard = POCKETDET_NMS_HARD,
    linear = POCKETDET_NMS_LINEAR,
    gaussian = POCKETDET_NMS_GAUSSIAN
};

enum class Precision : pocketdet_precision {
    fp32 = POCKETDET_FP32,
    fp16_storage = POCKETDET_FP16_STORAGE,
    fp16 = POCKETDET_FP16,
    bf16_storage = POCKETDET_BF16_STORAGE
};

// Nothing means what the bundle says. Ranges are those of pocketdet_options.
struct Options {
    std::optional<double> score_threshold, nms_iou;  // 0 to 1
    std::optional<Nms> nms;
    std::optional<Precision> precision;
    std::optional<int> rois, max_detections;  // 1 to 10000; one-stage detectors have no rois
    std::string digest;                       // SHA-256 of manifest.json in hex; empty: any
    std::string input_size;                   // one of the bundle's, a side in pixels or HEIGHTxWIDTH; empty: its first
};

// Does not own its pixels. 8 bits a channel, 1 to 65535 pixels a side, at most 2^28 in all.
struct ImageView {
    const std::uint8_t* pixels = nullptr;
    int width = 0, height = 0;
    PixelFormat format = PixelFormat::rgb;
    std::size_t stride = 0;  // bytes from one row to the next; 0: no gaps
};

// An image file, decoded to RGB.
class Image {
public:
    // A JPEG, PNG or binary PPM. Throws Error.
    explicit Image(const std::string& path) {
        pocketdet_image* image = nullptr;
        check(pocketdet_image_read(path.c_str(), &image));
        image_.reset(image);
    }

    int width() const { return pocketdet_image_width(image_.get()); }
    int height() const { return pocketdet_image_height(image_.get()); }
    // Valid as long as the image.
    ImageView view() const { return {pocketdet_image_pixels(image_.get()), width(), height()}; }

private:
    struct Free {
        void operator()(pocketdet_image* image) const { pocketdet_image_free(image); }
    };
    std::unique_ptr<pocketdet_image, Free> image_;
};

// x1, y1, x2, y2 in pixels of the image, score from 0 to 1, label.
using Detection = pocketdet_detection;

struct Detections {
    std::vector<Detection> found;      // best first
    std::vector<double> milliseconds;  // wall time of each of Detector::stages()
    std::size_t rois = 0;              // proposals that a head saw; one-stage detectors have none
};

// Can be used from several threads; calls wait for each other.
class Detector {
public:
    // Opens a bundle, a folder NAME.pocketdet. Throws Error.
    explicit Detector(const std::string& path, const Options& options = {}) {
        pocketdet_options raw;
        check(pocketdet_options_init(&raw, sizeof raw));
        raw.score_threshold = options.score_threshold.value_or(POCKETDET_OF_BUNDLE);
        raw.nms_iou = options.nms_iou.value_or(POCKETDET_OF_BUNDLE);
        if (options.nms) raw.nms = static_cast<pocketdet_nms>(*options.nms);
        if (options.precision) raw.precision = static_cast<pocketdet_precision>(*options.precision);
        raw.rois = options.rois.value_or(POCKETDET_OF_BUNDLE);
        raw.max_detections = options.max_detections.value_or(POCKETDET_OF_BUNDLE);
        if (!options.digest.empty()) raw.digest = options.digest.c_str();
        if (!options.input_size.empty()) raw.input_size = options.input_size.c_str();
        pocketdet_detector* detector = nullptr;
        check(pocketdet_detector_open(path.c_str(), &raw, &detector));
        detector_.reset(detector);
        for (std::size_t i = 0; i < pocketdet_class_count(detector); ++i) {
            class_names_.emplace_back(pocketdet_class_name(detector, static_cast<std::int32_t>(i)));
        }
        for (std::size_t i = 0; i < pocketdet_stage_count(detector); ++i) {
            stages_.emplace_back(pocketdet_stage_name(detector, i));
        }
    }

    std::string name() const { return pocketdet_detector_name(detector_.get()); }
    std::string digest() const { return pocketdet_detector_digest(detector_.get()); }      // SHA-256 of manifest.json
    int input_width() const { return pocketdet_detector_input_width(detector_.get()); }    // of the network, pixels
    int input_height() const { return pocketdet_detector_input_height(detector_.get()); }  // of the network, pixels
    Precision precision() const { return static_cast<Precision>(pocketdet_detector_precision(detector_.get())); }
    const std::vector<std::string>& class_names() const { return class_names_; }
    const std::vector<std::string>& stages() const { return stages_; }

    // Boxes in pixels of `image`. Throws Error.
    Detections detect(const ImageView& image) {
        pocketdet_result* raw = nullptr;
        check(pocketdet_detect(detector_.get(), image.pixels, image.width, image.height, image.stride,
                               static_cast<pocketdet_pixel_format>(image.format), &raw));
        const std::unique_ptr<pocketdet_result, Free> result(raw);
        const Detection* found = pocketdet_result_detections(raw);
        const double* milliseconds = pocketdet_result_milliseconds(raw);
        return {{found, found + pocketdet_result_count(raw)},
                {milliseconds, milliseconds + stages_.size()},
                pocketdet_result_rois(raw)};
    }

private:
    struct Free {
        void operator()(pocketdet_detector* detector) const { pocketdet_detector_free(detector); }
        void operator()(pocketdet_result* result) const { pocketdet_result_free(result); }
    };
    std::unique_ptr<pocketdet_detector, Free> detector_;
    std::vector<std::string> class_names_, stages_;
};

}  // namespace api1

}  // namespace pocketdet
