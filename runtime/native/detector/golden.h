// The golden record of a bundle: an image and the arrays that PyTorch computed for it, stage by stage. As
// runtime/bundle/golden.py and golden_stages of runtime/verification.py read it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bundle.h"
#include "image_file.h"

namespace pocketdet {

enum class ArrayType { float32, float64, int32, int64, uint8, boolean };

struct Array {
    ArrayType type;
    std::vector<size_t> shape;
    std::vector<uint8_t> bytes;  // little-endian, row-major

    size_t size() const;  // elements
    const float* floats() const { return reinterpret_cast<const float*>(bytes.data()); }
    // Every element as a double, in which all of these types are exact but for int64 beyond 2^53.
    std::vector<double> values() const;
};

// What the outputs of a one-stage detector's network are called, before their roles.
constexpr const char* kGoldenOutputs = "outputs.";

struct Golden {
    Image image;
    std::map<std::string, Array> stages;

    const Array& operator[](const std::string& name) const { return stages.at(name); }
};

// Reads the arrays of a safetensors file. Throws BundleError if it is truncated or out of the format, or if its arrays
// overlap or leave bytes over.
std::map<std::string, Array> parse_safetensors(const std::vector<uint8_t>& data, const std::string& label);

// The stored reference, complete and of types and shapes that fit each other and the manifest. Throws BundleError,
// or ImageError for its image.
Golden load_golden(const Bundle& bundle);

}  // namespace pocketdet
