// Arguments from Python, checked; results to Python, without a copy.
// Every refusal is a ValueError that names the argument, what was expected and what was found.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

#include "boxes.h"
#include "detections.h"
#include "feature_map.h"

namespace nb = nanobind;

namespace pocketdet::python {

using ReadArray = nb::ndarray<nb::ro>;
using Pair = std::pair<int64_t, int64_t>;

// Upper bound of elements in any array that goes in or out, far above any real use.
constexpr int64_t kMaxElements = int64_t{1} << 28;
constexpr int64_t kMaxBoxes = int64_t{1} << 24;

[[noreturn]] void reject(const char* name, const std::string& expected, const std::string& found);
[[noreturn]] void reject(const char* name, const std::string& expected, nb::handle found);

// A numpy array of the element type with the shape; -1 in `shape` matches any extent. `expected` is for people.
// load_array wants C order, load_strided any strides and at most `limit` elements.
ReadArray load_array(nb::handle value, const char* name, nb::dlpack::dtype type, const char* expected,
                     std::initializer_list<int64_t> shape);
ReadArray load_strided(nb::handle value, const char* name, nb::dlpack::dtype type, const char* expected,
                       std::initializer_list<int64_t> shape, int64_t limit = kMaxElements);

// (rows, columns) with contiguous rows at any distance; -1 matches any number of columns.
ReadArray load_rows(nb::handle value, const char* name, const char* expected, int64_t rows, int64_t columns);

// (N, 4) float32, at most kMaxBoxes; the same count as another argument where `count` is not -1.
ReadArray load_boxes(nb::handle value, const char* name, int64_t count = -1);
inline const Box* boxes_of(const ReadArray& array) { return static_cast<const Box*>(array.data()); }
inline const float* floats_of(const ReadArray& array) { return static_cast<const float*>(array.data()); }

// (C, h, w) float32 with contiguous planes at any distance, such as ncnn's; `owner` keeps the memory.
struct MapArgument {
    ReadArray owner;
    FeatureMap map;
};
MapArgument load_map(nb::handle value, const char* name);

// (rows, columns) or (channels, h, w) float32, contiguous but for the first axis.
ReadArray load_output(nb::handle value, const std::string& name);

int64_t check_range(const char* name, int64_t value, int64_t low, int64_t high);
float check_range(const char* name, double value, double low, double high);
float check_positive(const char* name, double value);
Size check_size(const char* name, Pair height_width);
template <size_t N>
std::array<float, N> check_finite(const char* name, const std::array<double, N>& values, bool positive) {
    std::array<float, N> checked;
    for (size_t i = 0; i < N; ++i) {
        checked[i] = static_cast<float>(values[i]);
        if (!std::isfinite(checked[i]) || (positive && !(checked[i] > 0.0f))) {
            reject(name, positive ? "positive finite numbers" : "finite numbers", std::to_string(values[i]));
        }
    }
    return checked;
}

// Owns uninitialised memory until numpy does.
template <class T>
class Result {
public:
    explicit Result(std::initializer_list<size_t> shape) : shape_(shape) {
        size_t total = 1;
        for (const size_t extent : shape_) total *= extent;
        data_.reset(new T[total]);
    }
    T* data() { return data_.get(); }

    nb::object release() {
        T* memory = data_.release();
        nb::capsule owner(memory, [](void* pointer) noexcept { delete[] static_cast<T*>(pointer); });
        return nb::cast(nb::ndarray<nb::numpy, T>(memory, shape_.size(), shape_.data(), owner));
    }

private:
    std::vector<size_t> shape_;
    std::unique_ptr<T[]> data_;
};

// (boxes, scores, labels, indices)
nb::tuple to_tuple(const std::vector<Detection>& detections);

void bind_boxes(nb::module_& module);
void bind_graph(nb::module_& module);
void bind_image(nb::module_& module);
void bind_nms(nb::module_& module);
void bind_one_stage(nb::module_& module);
void bind_stages(nb::module_& module);

}  // namespace pocketdet::python
