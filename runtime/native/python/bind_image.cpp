// Resize and normalise.
#include <limits>

#include "arrays.h"
#include "detections.h"
#include "resize.h"

namespace pocketdet::python {

using namespace nb::literals;

namespace {

PixelFormat parse_format(const std::string& text) {
    if (text == "RGB") return PixelFormat::rgb;
    if (text == "BGR") return PixelFormat::bgr;
    if (text == "RGBA") return PixelFormat::rgba;
    if (text == "BGRA") return PixelFormat::bgra;
    if (text == "NV21") return PixelFormat::nv21;
    reject("format", "'RGB', 'BGR', 'RGBA', 'BGRA' or 'NV21'", "'" + text + "'");
}

ResizeRule parse_rule(const std::string& text) {
    if (text == "stretch") return ResizeRule::stretch;
    if (text == "letterbox") return ResizeRule::letterbox;
    if (text == "letterbox_top_left") return ResizeRule::letterbox_top_left;
    reject("rule", "'stretch', 'letterbox' or 'letterbox_top_left'", "'" + text + "'");
}

ChannelOrder parse_order(const std::string& text) {
    if (text == "RGB") return ChannelOrder::rgb;
    if (text == "BGR") return ChannelOrder::bgr;
    reject("channel_order", "'RGB' or 'BGR'", "'" + text + "'");
}

struct ImageArgument {
    ReadArray owner;
    ImageView view;
};

// Its size is checked in pixels, not in elements.
ReadArray load_pixels(nb::handle value, const char* expected, std::initializer_list<int64_t> shape) {
    return load_strided(value, "image", nb::dtype<uint8_t>(), expected, shape, std::numeric_limits<int64_t>::max());
}

Size check_image_size(size_t height, size_t width) {
    const Size size = check_size("image", {static_cast<int64_t>(height), static_cast<int64_t>(width)});
    if (!is_image_size(size.width, size.height)) {
        reject("image", "at most " + std::to_string(kMaxImagePixels) + " pixels",
               std::to_string(width) + " x " + std::to_string(height));
    }
    return size;
}

ImageArgument load_nv21(nb::handle value) {
    const char* expected = "a uint8 array of shape (height * 3 / 2, width) with even sides for NV21";
    ReadArray array = load_pixels(value, expected, {-1, -1});
    const size_t rows = array.shape(0);
    const size_t width = array.shape(1);
    if (rows == 0 || rows % 3 != 0 || width == 0 || width % 2 != 0) reject("image", expected, value);
    if (array.stride(1) != 1) reject("image", "contiguous pixels in each row", "other strides");
    const size_t height = rows / 3 * 2;
    const Size size = check_image_size(height, width);
    const auto* pixels = static_cast<const uint8_t*>(array.data());
    const std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(array.stride(0));
    const ImageView view{
        PixelFormat::nv21, size.height, size.width, pixels, stride, pixels + size.height * stride, stride};
    return {std::move(array), view};
}

ImageArgument load_image(nb::handle value, const std::string& format_name) {
    const PixelFormat format = parse_format(format_name);
    if (format == PixelFormat::nv21) return load_nv21(value);
    const int channels = pixel_step(format);
    const std::string expected =
        "a uint8 array of shape (height, width, " + std::to_string(channels) + ") for " + format_name;
    ReadArray array = load_pixels(value, expected.c_str(), {-1, -1, channels});
    const Size size = check_image_size(array.shape(0), array.shape(1));
    if (array.stride(2) != 1 || (size.width > 1 && array.stride(1) != channels)) {
        reject("image", "contiguous pixels in each row (numpy.ascontiguousarray makes them)", "other strides");
    }
    const ImageView view{format,
                         size.height,
                         size.width,
                         static_cast<const uint8_t*>(array.data()),
                         static_cast<std::ptrdiff_t>(array.stride(0)),
                         nullptr,
                         0};
    return {std::move(array), view};
}

ResizeOptions load_options(Pair size, const std::string& rule, const std::string& channel_order,
                           const std::array<int64_t, 3>& pad) {
    ResizeOptions options{check_size("size", size), parse_rule(rule), parse_order(channel_order), {}};
    for (size_t c = 0; c < 3; ++c) options.pad[c] = static_cast<uint8_t>(check_range("pad", pad[c], 0, 255));
    const int64_t elements = int64_t{3} * options.target.height * options.target.width;
    check_range("3 x height x width of size", elements, 3, kMaxElements);
    return options;
}

nb::object bound_resize_image(nb::handle image, const std::string& format, Pair size, const std::string& rule,
                              const std::string& channel_order, const std::array<int64_t, 3>& pad) {
    const ImageArgument argument = load_image(image, format);
    const ResizeOptions options = load_options(size, rule, channel_order, pad);
    Result<uint8_t> resized({static_cast<size_t>(options.target.height), static_cast<size_t>(options.target.width), 3});
    {
        nb::gil_scoped_release released;
        ResizeWorkspace workspace;
        resize_to_bytes(argument.view, options, workspace, resized.data());
    }
    return resized.release();
}

nb::object bound_preprocess(nb::handle image, const std::string& format, Pair size, const std::string& rule,
                            const std::string& channel_order, const std::array<int64_t, 3>& pad,
                            const std::array<double, 3>& mean, const std::array<double, 3>& std) {
    const ImageArgument argument = load_image(image, format);
    const ResizeOptions options = load_options(size, rule, channel_order, pad);
    const std::array<float, 3> mean_values = check_finite("mean", mean, false);
    const std::array<float, 3> std_values = check_finite("std", std, true);
    const size_t height = static_cast<size_t>(options.target.height);
    const size_t width = static_cast<size_t>(options.target.width);
    Result<float> planes({3, height, width});
    {
        nb::gil_scoped_release released;
        ResizeWorkspace workspace;
        const NormaliseTable table = make_normalise_table(mean_values.data(), std_values.data());
        resize_to_planes(argument.view, options, table, workspace, planes.data(),
                         static_cast<std::ptrdiff_t>(height * width));
    }
    return planes.release();
}

nb::tuple bound_resize_geometry(Pair source, Pair size, const std::string& rule) {
    const Placement placed =
        compute_placement(parse_rule(rule), check_size("source", source), check_size("size", size));
    return nb::make_tuple(placed.x0, placed.y0, placed.width, placed.height);
}

nb::object bound_to_original(nb::handle boxes, Pair source, Pair size, const std::string& rule) {
    const ReadArray box_array = load_boxes(boxes, "boxes");
    const Size source_size = check_size("source", source);
    const Size network_size = check_size("size", size);
    const ResizeRule resize_rule = parse_rule(rule);
    const size_t count = box_array.shape(0);
    Result<float> mapped({count, 4});
    Box* out = reinterpret_cast<Box*>(mapped.data());
    {
        nb::gil_scoped_release released;
        for (size_t i = 0; i < count; ++i) {
            out[i] = to_original(boxes_of(box_array)[i], source_size, network_size, resize_rule);
        }
    }
    return mapped.release();
}

}  // namespace

void bind_image(nb::module_& module) {
    module.attr("MAX_IMAGE_SIDE") = kMaxImageSide;
    module.attr("MAX_IMAGE_PIXELS") = kMaxImagePixels;
    module.def(
        "resize_image", &bound_resize_image, "image"_a, "format"_a, "size"_a, "rule"_a = "stretch",
        "channel_order"_a = "RGB", "pad"_a = std::array<int64_t, 3>{0, 0, 0},
        "Resize a uint8 image to (height, width) with integer bilinear interpolation, the same bits anywhere.\n\n"
        "`format` is RGB, BGR (height, width, 3), RGBA, BGRA (height, width, 4; alpha is ignored) or NV21\n"
        "(height * 3 / 2, width). Rows may lie at any distance, pixels must be contiguous. `rule` is 'stretch' or\n"
        "'letterbox' (centred) or 'letterbox_top_left', which fill the rest with `pad`. The result (height, width, 3)\n"
        "and `pad` are in `channel_order`.");
    module.def("preprocess", &bound_preprocess, "image"_a, "format"_a, "size"_a, "rule"_a, "channel_order"_a, "pad"_a,
               "mean"_a, "std"_a,
               "`resize_image`, then (pixel - mean) / std per channel, in one pass: float32 (3, height, width).\n\n"
               "`mean` and `std` are in units of 0..255, in `channel_order`.");
    module.def("resize_geometry", &bound_resize_geometry, "source"_a, "size"_a, "rule"_a,
               "Where a source of (height, width) lands in the network input: (x0, y0, width, height) in pixels.");
    module.def("to_original", &bound_to_original, "boxes"_a, "source"_a, "size"_a, "rule"_a,
               "Boxes (N, 4) in network pixels mapped to the source image (height, width) and clipped to it.");
}

}  // namespace pocketdet::python
