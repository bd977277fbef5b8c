#include "arrays.h"

#include "resize.h"

namespace pocketdet::python {

namespace {

std::string text_of(nb::handle value) { return nb::str(value).c_str(); }

std::string describe(nb::handle value) {
    const std::string type = text_of(value.type().attr("__name__"));
    if (!nb::hasattr(value, "dtype") || !nb::hasattr(value, "shape")) return "a " + type;
    return "a " + text_of(value.attr("dtype")) + " array of shape " + text_of(value.attr("shape"));
}

bool shape_fits(const ReadArray& array, std::initializer_list<int64_t> shape) {
    if (array.ndim() != shape.size()) return false;
    size_t axis = 0;
    for (const int64_t extent : shape) {
        if (extent >= 0 && static_cast<int64_t>(array.shape(axis)) != extent) return false;
        ++axis;
    }
    return true;
}

// Whether the axes from `first_axis` on lie in memory without gaps.
bool is_contiguous(const ReadArray& array, size_t first_axis) {
    if (array.size() == 0) return true;
    int64_t step = 1;
    for (size_t axis = array.ndim(); axis-- > first_axis;) {
        if (array.shape(axis) != 1 && array.stride(axis) != step) return false;
        step *= static_cast<int64_t>(array.shape(axis));
    }
    return true;
}

}  // namespace

void reject(const char* name, const std::string& expected, const std::string& found) {
    throw nb::value_error((std::string(name) + ": expected " + expected + ", found " + found).c_str());
}

void reject(const char* name, const std::string& expected, nb::handle found) {
    reject(name, expected, describe(found));
}

ReadArray load_strided(nb::handle value, const char* name, nb::dlpack::dtype type, const char* expected,
                       std::initializer_list<int64_t> shape, int64_t limit) {
    ReadArray array;
    if (!nb::try_cast<ReadArray>(value, array, false) || array.device_type() != nb::device::cpu::value ||
        array.dtype() != type || !shape_fits(array, shape)) {
        reject(name, expected, value);
    }
    if (static_cast<int64_t>(array.size()) > limit) {
        reject(name, "at most " + std::to_string(limit) + " elements", value);
    }
    if (reinterpret_cast<uintptr_t>(array.data()) % (type.bits / 8u) != 0) {
        reject(name, std::string(expected) + " aligned to its element size", "unaligned memory");
    }
    return array;
}

ReadArray load_array(nb::handle value, const char* name, nb::dlpack::dtype type, const char* expected,
                     std::initializer_list<int64_t> shape) {
    ReadArray array = load_strided(value, name, type, expected, shape);
    if (!is_contiguous(array, 0)) {
        reject(name, std::string(expected) + " in C order (numpy.ascontiguousarray makes one)", "other strides");
    }
    return array;
}

ReadArray load_rows(nb::handle value, const char* name, const char* expected, int64_t rows, int64_t columns) {
    ReadArray array = load_strided(value, name, nb::dtype<float>(), expected, {rows, columns});
    if (!is_contiguous(array, 1)) {
        reject(name, "contiguous rows (numpy.ascontiguousarray makes them)", "other strides");
    }
    return array;
}

ReadArray load_boxes(nb::handle value, const char* name, int64_t count) {
    const std::string rows = count < 0 ? "N" : std::to_string(count);
    const std::string expected = "a float32 array of shape (" + rows + ", 4)";
    ReadArray array = load_array(value, name, nb::dtype<float>(), expected.c_str(), {count, 4});
    if (static_cast<int64_t>(array.shape(0)) > kMaxBoxes) {
        reject(name, "at most " + std::to_string(kMaxBoxes) + " boxes", std::to_string(array.shape(0)));
    }
    return array;
}

MapArgument load_map(nb::handle value, const char* name) {
    const char* expected = "a float32 array of shape (C, h, w)";
    ReadArray array = load_strided(value, name, nb::dtype<float>(), expected, {-1, -1, -1});
    if (array.size() == 0) reject(name, "a map with at least one channel, row and column", value);
    if (!is_contiguous(array, 1)) {
        reject(name, "planes in C order (numpy.ascontiguousarray makes them)", "other strides");
    }
    const FeatureMap map{static_cast<const float*>(array.data()), static_cast<std::ptrdiff_t>(array.stride(0)),
                         static_cast<int>(array.shape(0)), static_cast<int>(array.shape(1)),
                         static_cast<int>(array.shape(2))};
    return {std::move(array), map};
}

ReadArray load_output(nb::handle value, const std::string& name) {
    const char* expected = "a float32 array of shape (rows, columns) or (channels, h, w)";
    ReadArray array;
    int64_t axes = 0;
    const bool table = nb::hasattr(value, "ndim") && nb::try_cast(value.attr("ndim"), axes) && axes == 2;
    array = table ? load_strided(value, name.c_str(), nb::dtype<float>(), expected, {-1, -1})
                  : load_strided(value, name.c_str(), nb::dtype<float>(), expected, {-1, -1, -1});
    if (!is_contiguous(array, 1)) {
        reject(name.c_str(), "C order (numpy.ascontiguousarray makes it)", "other strides");
    }
    return array;
}

int64_t check_range(const char* name, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high) {
        reject(name, "an integer in " + std::to_string(low) + ".." + std::to_string(high), std::to_string(value));
    }
    return value;
}

float check_range(const char* name, double value, double low, double high) {
    if (!(value >= low && value <= high)) {
        reject(name, "a number in " + text_of(nb::float_(low)) + ".." + text_of(nb::float_(high)),
               text_of(nb::float_(value)));
    }
    return static_cast<float>(value);
}

float check_positive(const char* name, double value) {
    const float rounded = static_cast<float>(value);
    if (!std::isfinite(rounded) || !(rounded > 0.0f)) {
        reject(name, "a positive finite number", text_of(nb::float_(value)));
    }
    return rounded;
}

Size check_size(const char* name, Pair height_width) {
    const auto [height, width] = height_width;
    if (height < 1 || width < 1 || height > kMaxImageSide || width > kMaxImageSide) {
        reject(name, "(height, width) with sides in 1.." + std::to_string(kMaxImageSide),
               "(" + std::to_string(height) + ", " + std::to_string(width) + ")");
    }
    return {static_cast<int>(height), static_cast<int>(width)};
}

nb::tuple to_tuple(const std::vector<Detection>& detections) {
    const size_t count = detections.size();
    Result<float> boxes({count, 4});
    Result<float> scores({count});
    Result<int32_t> labels({count});
    Result<int32_t> indices({count});
    for (size_t i = 0; i < count; ++i) {
        reinterpret_cast<Box*>(boxes.data())[i] = detections[i].box;
        scores.data()[i] = detections[i].score;
        labels.data()[i] = detections[i].label;
        indices.data()[i] = detections[i].index;
    }
    return nb::make_tuple(boxes.release(), scores.release(), labels.release(), indices.release());
}

}  // namespace pocketdet::python
