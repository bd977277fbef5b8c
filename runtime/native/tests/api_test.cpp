// The C API on wrong arguments, and the C++ API over it. Needs no bundle; tests/native/test_native_library.py has some.
#include <cstring>
#include <thread>

#include "expect.h"
#include "pocketdet/pocketdet.hpp"

namespace pocketdet {
namespace {

// The sentence of a call that must fail with this status.
std::string refusal(pocketdet_status expected, pocketdet_status status) {
    CHECK(status == expected);
    const std::string message = pocketdet_error_message();
    CHECK(!message.empty() && message.find('\n') == std::string::npos);
    return message;
}

void test_null_arguments() {
    pocketdet_detector* detector = nullptr;
    pocketdet_image* image = nullptr;
    pocketdet_result* result = nullptr;
    const uint8_t pixel[4] = {};
    CHECK(contains(refusal(POCKETDET_USAGE_ERROR, pocketdet_detector_open("x", nullptr, nullptr)), "detector"));
    CHECK(contains(refusal(POCKETDET_USAGE_ERROR, pocketdet_detector_open(nullptr, nullptr, &detector)), "path"));
    CHECK(contains(refusal(POCKETDET_USAGE_ERROR, pocketdet_image_read(nullptr, &image)), "path"));
    CHECK(contains(refusal(POCKETDET_USAGE_ERROR, pocketdet_image_read("x", nullptr)), "image"));
    CHECK(contains(refusal(POCKETDET_USAGE_ERROR, pocketdet_options_init(nullptr, sizeof(pocketdet_options))), "null"));
    CHECK(contains(refusal(POCKETDET_USAGE_ERROR, pocketdet_detect(nullptr, pixel, 1, 1, 0, POCKETDET_RGB, &result)),
                   "detector: expected a pointer"));
    CHECK(contains(refusal(POCKETDET_USAGE_ERROR, pocketdet_detect(nullptr, pixel, 1, 1, 0, POCKETDET_RGB, nullptr)),
                   "result: expected a pointer"));
    pocketdet_detector_free(nullptr);
    pocketdet_image_free(nullptr);
    pocketdet_result_free(nullptr);
    CHECK(pocketdet_detector_name(nullptr) == nullptr && pocketdet_detector_digest(nullptr) == nullptr);
    CHECK(pocketdet_detector_input_width(nullptr) == 0 && pocketdet_detector_input_height(nullptr) == 0);
    CHECK(pocketdet_class_count(nullptr) == 0 && pocketdet_class_name(nullptr, 0) == nullptr);
    CHECK(pocketdet_stage_count(nullptr) == 0 && pocketdet_stage_name(nullptr, 0) == nullptr);
    CHECK(pocketdet_result_count(nullptr) == 0 && pocketdet_result_detections(nullptr) == nullptr);
    CHECK(pocketdet_result_rois(nullptr) == 0 && pocketdet_result_milliseconds(nullptr) == nullptr);
    CHECK(pocketdet_image_width(nullptr) == 0 && pocketdet_image_height(nullptr) == 0);
    CHECK(pocketdet_image_pixels(nullptr) == nullptr);
}

void test_files() {
    pocketdet_detector* detector = nullptr;
    pocketdet_image* image = nullptr;
    CHECK(
        contains(refusal(POCKETDET_BUNDLE_ERROR, pocketdet_detector_open("/nowhere", nullptr, &detector)), "/nowhere"));
    CHECK(detector == nullptr);
    CHECK(contains(refusal(POCKETDET_IMAGE_ERROR, pocketdet_image_read("/nowhere.png", &image)), "/nowhere.png"));
    TemporaryFolder folder;
    folder.write("image.ppm", "P6 2 1 255\nabcdef");
    CHECK(pocketdet_image_read((folder.path() + "/image.ppm").c_str(), &image) == POCKETDET_OK);
    CHECK(pocketdet_image_width(image) == 2 && pocketdet_image_height(image) == 1);
    CHECK(std::memcmp(pocketdet_image_pixels(image), "abcdef", 6) == 0);
    pocketdet_image_free(image);
    const Image own(folder.path() + "/image.ppm");
    CHECK(own.view().width == 2 && own.view().height == 1 && own.view().pixels[5] == 'f');
}

// Each wrong value is refused before the bundle is opened.
void test_options() {
    pocketdet_options options;
    const auto refuse = [&](const char* message) {
        pocketdet_detector* detector = nullptr;
        CHECK(contains(refusal(POCKETDET_USAGE_ERROR, pocketdet_detector_open("/nowhere", &options, &detector)),
                       message));
        CHECK(pocketdet_options_init(&options, sizeof options) == POCKETDET_OK);
    };
    CHECK(pocketdet_options_init(&options, sizeof options) == POCKETDET_OK);
    options.size = 8;
    refuse("options.size=8");
    options.size = sizeof options + 8;
    refuse("header of this library's version");
    options.nms = 3;
    refuse("nms=3");
    options.precision = -2;
    refuse("precision=-2");
    options.score_threshold = 1.5;
    refuse("score_threshold=1.5");
    options.nms_iou = -0.5;
    refuse("nms_iou=-0.5");
    options.rois = 0;
    refuse("rois=0");
    options.max_detections = 10'001;
    refuse("max_detections=10001");
    options.input_size = "320x";
    refuse("input size '320x': expected one side or HEIGHTxWIDTH");
    refusal(POCKETDET_USAGE_ERROR, pocketdet_options_init(&options, sizeof options - 1));
}

// A program that was compiled before `input_size` was added has a smaller struct.
void test_smaller_options() {
    pocketdet_options options;
    options.input_size = "of another variable";
    const size_t size = offsetof(pocketdet_options, input_size);
    CHECK(pocketdet_options_init(&options, size) == POCKETDET_OK);
    CHECK(options.size == size && options.digest == nullptr);
    CHECK(options.input_size == std::string("of another variable"));
    pocketdet_detector* detector = nullptr;
    CHECK(contains(refusal(POCKETDET_BUNDLE_ERROR, pocketdet_detector_open("/nowhere", &options, &detector)),
                   "no such bundle"));
}

template <typename Set>
std::string refused(Set set) {
    Options options;
    set(options);
    try {
        Detector detector("/nowhere", options);
    } catch (const Error& error) {
        CHECK(error.status() == POCKETDET_BUNDLE_ERROR);
        return error.what();
    }
    CHECK(!"an error was thrown");
    return "";
}

void test_cpp() {
    CHECK(contains(refused([](Options&) {}), "/nowhere"));
    CHECK(contains(refused([](Options& o) { o.digest = std::string(64, '0'); }), "/nowhere"));
    try {
        Image("/nowhere.jpg");
        CHECK(!"an error was thrown");
    } catch (const Error& error) {
        CHECK(error.status() == POCKETDET_IMAGE_ERROR && contains(error.what(), "/nowhere.jpg"));
    }
}

void test_messages_are_of_one_thread() {
    refusal(POCKETDET_USAGE_ERROR, pocketdet_options_init(nullptr, 0));
    std::thread([] { CHECK(*pocketdet_error_message() == '\0'); }).join();
    CHECK(*pocketdet_error_message() != '\0');
    pocketdet_image* image = nullptr;
    const std::string path(10000, 'x');
    CHECK(refusal(POCKETDET_IMAGE_ERROR, pocketdet_image_read(path.c_str(), &image)).size() > 2000);
    CHECK(std::strchr(pocketdet_version(), '.') != nullptr);
}

}  // namespace
}  // namespace pocketdet

int main() {
    pocketdet::test_null_arguments();
    pocketdet::test_files();
    pocketdet::test_options();
    pocketdet::test_smaller_options();
    pocketdet::test_cpp();
    pocketdet::test_messages_are_of_one_thread();
    std::puts("api_test: all hold");
    return 0;
}
