// The detector's other readers on good and on damaged input: golden arrays, images, options. Runs on any
// target, with or without an emulator; needs no bundle.
#include <lodepng.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "arguments.h"
#include "errors.h"
#include "expect.h"
#include "golden.h"
#include "image_file.h"
#include "output_fields.h"
#include "stages.h"

namespace pocketdet {
namespace {

void test_layers_of_this_ncnn() {
    for (const char* type : {"Convolution", "ConvolutionDepthWise", "Gemm", "InnerProduct", "Crop", "Interp", "Packing",
                             "Padding", "Cast", "Flatten", "HardSwish", "Mish", "Clip", "Sigmoid", "ReLU"}) {
        CHECK(ncnn_has_layer(type));
    }
    for (const char* type : {"LSTM", "Spectrogram", "NoSuchLayer", ""}) CHECK(!ncnn_has_layer(type));
}

Bytes safetensors(const std::string& header, size_t data_bytes) {
    Bytes file;
    for (size_t i = 0; i < 8; ++i) file.push_back(static_cast<uint8_t>(header.size() >> (8 * i)));
    for (const char c : header) file.push_back(static_cast<uint8_t>(c));
    file.resize(file.size() + data_bytes, 0x3f);
    return file;
}

void test_safetensors() {
    const std::string good =
        R"({"__metadata__": {"a": "b"}, "x": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}})";
    const auto arrays = parse_safetensors(safetensors(good, 8), "s");
    CHECK(arrays.size() == 1 && arrays.at("x").size() == 2 && arrays.at("x").values()[1] == arrays.at("x").floats()[1]);
    const auto refuse = [](const Bytes& file, const char* message) {
        CHECK(contains(message_of<BundleError>([&] { parse_safetensors(file, "s"); }), message));
    };
    refuse({1, 2, 3}, "found 3 bytes");
    refuse(Bytes(8, 0xff), "does not fit");
    refuse(safetensors(good, 7), "the place of this array in the file");
    refuse(safetensors(R"({"x": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}})", 4), "'F32' or 'F64'");
    refuse(safetensors(R"({"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})", 4), "field 'x.shape[0]'");
    refuse(safetensors(R"({"x": {"dtype": "F32", "shape": [99999999, 99999999], "data_offsets": [0, 4]}})", 4),
           "fits the file");
    refuse(safetensors(R"({"x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}})", 4),
           "the place of this array");
    refuse(safetensors("[]", 4), "an object");
    refuse(safetensors("{", 4), "expected JSON");
    const std::pair<const char*, size_t> types[] = {{"F32", 4}, {"F64", 8}, {"I32", 4},
                                                    {"I64", 8}, {"U8", 1},  {"BOOL", 1}};
    for (const auto& [type, bytes] : types) {
        const std::string header = R"({"x": {"dtype": ")" + std::string(type) +
                                   R"(", "shape": [3], "data_offsets": [0, )" + std::to_string(3 * bytes) + "]}}  ";
        CHECK(parse_safetensors(safetensors(header, 3 * bytes), "s").at("x").values().size() == 3);
    }
}

// Every byte is of one array, as the safetensors library of Python has it.
void test_safetensors_places() {
    const auto refuse = [](const std::string& header, size_t data_bytes, const char* message) {
        const Bytes file = safetensors(header, data_bytes);
        CHECK(contains(message_of<BundleError>([&] { parse_safetensors(file, "s"); }), message));
    };
    const std::string a = R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
    CHECK(parse_safetensors(safetensors("{}", 0), "s").empty());
    refuse("{" + a + "}", 3, "its arrays end at byte 2 of 3");
    refuse("{" + a + R"(,"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "overlap or leave gaps");
    refuse(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "overlap or leave gaps");
    refuse("{" + a + "," + a + "}", 2, "appears twice");
    refuse("{" + a + R"(,"__metadata__":{"b":1}})", 2, "field '__metadata__.b'");
    refuse(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"b":1}})", 0, "field 'a.b' is unknown");
}

// The start of a PNG of this size, up to the end of its header.
std::string png_header(uint32_t width, uint32_t height) {
    std::string file("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", 16);
    const auto append = [&](uint32_t value) {
        for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(value >> shift & 255);
    };
    append(width);
    append(height);
    file += std::string("\x08\x02\0\0\0", 5);
    append(lodepng_crc32(reinterpret_cast<const unsigned char*>(file.data()) + 12, 17));
    return file;
}

void test_images() {
    const Image image = decode_image(bytes_of("P6\n# a comment\n2 1\n255\nabcdef"), "p");
    CHECK(image.width == 2 && image.height == 1 && image.pixels == bytes_of("abcdef"));
    CHECK(image.view().row_stride == 6 && image.view().chroma == nullptr);
    const auto refuse = [](const std::string& data, const char* message) {
        CHECK(contains(message_of<ImageError>([&] { decode_image(bytes_of(data), "p"); }), message));
    };
    refuse("", "expected a JPEG, a PNG or a binary PPM");
    refuse("GIF89a", "expected a JPEG, a PNG or a binary PPM");
    refuse("\xff\xd8\xff\xe0 a JPEG", "the JPEG cannot be decoded: jpeg: truncated input");
    refuse("P6", "expected a PPM header");
    refuse("P6 2 1 65535\nabcdef", "expected a PPM header");
    refuse("P6 2 1 255\nabcde", "expected 6 bytes of pixels after the PPM header, found 5");
    refuse("P6 2 1 255\nabcdefg", "found 7");
    refuse("P6 0 1 255\n", "found 0 x 1");
    refuse("P6 99999 99999 255\n", "found 99999 x 99999");
    refuse("P6 65536 1 255\nabc", "expected 1 to 65535 pixels a side");
    refuse("P6 16385 16384 255\nabc", "at most 268435456 in all, found 16385 x 16384; scale it down first");
    refuse("P6 16384 16384 255\nabc", "expected 805306368 bytes of pixels");
    refuse("P6 65535 4096 255\nabc", "bytes of pixels");
    refuse(png_header(0, 5), "PNG cannot be decoded");
    refuse(png_header(65536, 1), "found 65536 x 1");
    refuse(png_header(1, 65536), "found 1 x 65536");
    refuse(png_header(0x7fffffff, 0x7fffffff), "found 2147483647 x 2147483647");
    CHECK(contains(message_of<ImageError>([] { decode_image(bytes_of("P6 3 1 255\nabcdefghi"), "p", 2); }),
                   "at most 2 in all, found 3 x 1"));
    refuse("P6 9999999 1 255\n", "expected a PPM header");
    refuse("\x89PNG\r\n\x1a\n", "the PNG cannot be decoded");
    CHECK(contains(message_of<ImageError>([] { read_image("/nowhere.png"); }), "No such file"));
    CHECK(contains(message_of<ImageError>([] { read_image("/tmp"); }), "cannot be read"));
    TemporaryFolder folder;
    folder.write("raw", "123456");
    const std::string raw = folder.path() + "/raw";
    CHECK(read_raw(raw, PixelFormat::bgr, 2, 1).view().row_stride == 6);
    const Image camera = read_raw(raw, PixelFormat::nv21, 2, 2);
    CHECK(camera.view().chroma == camera.pixels.data() + 4);
    CHECK(contains(message_of<ImageError>([&] { read_raw(raw, PixelFormat::rgb, 3, 1); }), "expected 9 bytes"));
    CHECK(contains(message_of<ImageError>([&] { read_raw(raw, PixelFormat::nv21, 3, 2); }), "even sides"));
}

void test_comparisons() {
    const double nan = std::nan("");
    CHECK(compare("x", {2}, {1, -2}, {1, -2}, {}).ok && !compare("x", {2}, {1, -2}, {1, -2.5}, {}).ok);
    const Check check = compare("x", {2}, {1, -2}, {1, -2.5}, {0.25, 0});
    CHECK(check.ok && check.tolerance == 0.5 && check.max_abs == 0.5);
    CHECK_NEAR(*check.snr_db, 10 * std::log10(5 / 0.25), 1e-9);
    CHECK(compare("x", {1}, {nan}, {nan}, {}).ok && !compare("x", {1}, {nan}, {1}, {0, 100}).ok);
    CHECK(!compare("x", {2}, {1, 2}, {1}, {0, 100}).ok && compare("x", {0}, {}, {}, {}).ok);
    const Detection one{{0, 0, 10, 10}, 0.5f, 1, 0};
    const Detection near{{0, 0, 10, 10.05f}, 0.5f, 1, 0};
    const Detection other{{0, 0, 10, 10}, 0.5f, 2, 0};
    const Tolerances tolerances = tolerances_for(Arithmetic::fp32, "fp32");
    CHECK(compare_detections("d", {one, other}, {other, near}, tolerances).ok);
    CHECK(!compare_detections("d", {one}, {one, one}, tolerances).ok);
    CHECK(!compare_detections("d", {one}, {other}, tolerances).ok);
    const Check nothing = compare_detections("d", {}, {}, tolerances);
    CHECK(nothing.ok && !nothing.proved && nothing.note == "nothing detected: not proved");
    CHECK(compare("x", {1}, {1}, {1}, {}).proved && !compare("x", {0}, {}, {}, {}).proved);
    CHECK(!compare("x", {1}, {nan}, {nan}, {}).proved && compare("x", {1}, {nan}, {1}, {}).proved);
    const Tolerance floored{0.1, 0, 14.0, {2.0, 0.5}};
    const Check quiet = compare("x", {3}, {0.1, 0.2, 0.8}, {0.2, 0.1, 0.7}, floored);
    CHECK(quiet.ok);
    CHECK_NEAR(quiet.tolerance, 0.2, 1e-12);
    CHECK_NEAR((ValueRange{0.01, 0.01}.of(0)), 0.01 * std::log(100.0), 1e-12);
    CHECK_NEAR((ValueRange{0.01, 0.01}.of(0.9)), 0.9, 1e-12);
    CHECK_NEAR((ValueRange{0.01, std::nullopt}.of(0)), 0.01, 1e-12);
    CHECK_NEAR(*quiet.snr_db, 20 * std::log10(0.8 / 0.1), 1e-6);  // of the last one alone
    CHECK(!compare("x", {3}, {0.1, 0.2, 0.8}, {0.2, 0.5, 0.7}, floored).ok);
}

Array array_of(const std::vector<size_t>& shape, const std::vector<float>& values) {
    Array array{ArrayType::float32, shape, Bytes(values.size() * sizeof(float))};
    std::memcpy(array.bytes.data(), values.data(), array.bytes.size());
    return array;
}

// The names of the checks that fail if one value of an output is off by `error`.
std::string failing(const OneStageSpec& spec, const std::vector<float>& values, const std::vector<size_t>& shape,
                    size_t at, double error) {
    const Array reference = array_of(shape, values);
    std::vector<double> subject = reference.values();
    subject[at] += error;
    std::vector<Check> checks;
    compare_output("out", output_regions(spec, "out", reference), reference, subject, {1e-3, 0}, checks);
    std::string names;
    for (const Check& check : checks) names += check.ok ? "" : check.name + ";";
    return names;
}

// Boxes up to 300 pixels and scores near 0 in the channels of one tensor; two grids in its rows.
void test_output_fields() {
    constexpr size_t kRows = 20, kChannels = 8;  // of which 5 are read: x1, y1, x2, y2, and two scores from 5 on
    OneStageSpec spec;
    spec.input_size = {32, 32};
    spec.num_classes = 2;
    spec.codings = {XyxyCoding{}};
    spec.scores.activation = Activation::none;
    spec.selection.score_threshold = 0.25;
    for (const int side : {4, 2}) {
        Level level;
        level.grid = {side, side};
        level.strides = {32.0 / side, 32.0 / side};
        level.anchors = {{8, 8}};
        level.classes.output = "out";
        level.classes.layout = FieldLayout::columns;
        level.classes.first_row = side == 4 ? 0 : 16;
        level.boxes = {level.classes};
        level.classes.first = 5;
        spec.levels.push_back(level);
    }
    std::vector<float> values(kChannels * kRows, 0.01f);
    std::fill(values.begin(), values.begin() + 4 * kRows, 300.0f);
    const auto fails = [&](size_t channel, size_t row, double error) {
        return failing(spec, values, {kChannels, kRows}, channel * kRows + row, error);
    };
    CHECK(fails(6, 3, 0.0003).empty() && fails(6, 3, 0.3) == "out: classes, level 1;");
    CHECK(fails(5, 16, 0.0004) == "out: classes, level 2;");
    CHECK(fails(1, 15, 0.2).empty() && fails(1, 15, 0.4) == "out: boxes, level 1;");
    CHECK(fails(3, 19, 0.4) == "out: boxes, level 2;");
    CHECK(fails(4, 0, 0.2).empty() && fails(7, 19, 0.4) == "out: elements that no field reads;");
    values[6 * kRows + 3] = 0.9f;  // the range of a level is its own
    CHECK(fails(6, 2, 0.0005).empty() && fails(6, 17, 0.0005) == "out: classes, level 2;");
}

void test_arguments() {
    const auto arguments = [](const std::vector<std::string>& words) {
        return Arguments("detect", words, with_detector_options({{"raw", "SIZE", "x"}}));
    };
    const Arguments good =
        arguments({"b", "--rois", "7", "--score-threshold=0.5", "i", "--nms=linear", "--precision", "fp16"});
    const DetectorOptions options = detector_options(good);
    CHECK(good.positional() == (std::vector<std::string>{"b", "i"}) && *options.rois == 7);
    CHECK(*options.score_threshold == 0.5 && *options.nms == NmsMethod::linear);
    CHECK(options.precision == Arithmetic::fp16);
    const auto refuse = [&](const std::vector<std::string>& words, const char* message) {
        CHECK(contains(message_of<UsageError>([&] { detector_options(arguments(words)); }), message));
    };
    refuse({"--what"}, "--what is not one of its options");
    refuse({"--rois"}, "--rois needs a value");
    refuse({"--rois", "1", "--rois=2"}, "given twice");
    refuse({"--rois", "0"}, "from 1 to 10000");
    refuse({"--rois", "1.5"}, "a whole number");
    refuse({"--rois="}, "a whole number");
    refuse({"--score-threshold", "nan"}, "a number from 0 to 1");
    refuse({"--precision", "fp8"}, "expected one of fp32, fp16-storage, fp16, bf16-storage");
    refuse({"--threads", "x"}, "a whole number");
}

}  // namespace
}  // namespace pocketdet

int main() {
    pocketdet::test_layers_of_this_ncnn();
    pocketdet::test_safetensors();
    pocketdet::test_safetensors_places();
    pocketdet::test_images();
    pocketdet::test_comparisons();
    pocketdet::test_output_fields();
    pocketdet::test_arguments();
    std::puts("detector_test: all hold");
    return 0;
}
