// An ncnn network as data: layers in the order of the file, their parameters and their weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "params.h"

namespace pocketdet::graph {

// ncnn's Mat without a batch: (w,), (h, w), (c, h, w) or (c, d, h, w).
using Shape = std::vector<int64_t>;
using Shapes = std::vector<Shape>;
using NamedShapes = std::vector<std::pair<std::string, Shape>>;

// How the numbers of a weight are stored. A raw weight is float32 alone; the others begin with a tag of 32 bits in the
// file, and a table256 has 256 float32 before its indices.
enum class Storage { raw, fp32, fp32_scaled, fp16, bf16, int8, table256 };

constexpr const char* kStorageNames[] = {"raw", "fp32", "fp32_scaled", "fp16", "bf16", "int8", "table256"};
constexpr size_t kStorageBytes[] = {4, 4, 4, 2, 2, 1, 1};

inline const char* name_of(Storage storage) { return kStorageNames[static_cast<size_t>(storage)]; }
inline size_t bytes_of(Storage storage) { return kStorageBytes[static_cast<size_t>(storage)]; }

// One weight; `data` holds as many elements as `shape` has, anywhere in memory that outlives the graph.
struct Weight {
    std::string role;
    Storage storage = Storage::raw;
    Shape shape;
    const uint8_t* data = nullptr;
    const uint8_t* table = nullptr;  // of a table256
    uint32_t tag = 0;
};

struct Layer {
    std::string type, name;
    std::vector<std::string> inputs, outputs;
    std::vector<Param> params;
    std::vector<Weight> weights;
    std::string origin;  // where the layer was read, such as "m.param line 5"

    // Throws GraphError that names this layer and where it was read.
    [[noreturn]] void fail(const std::string& problem) const;

    const Value* find(int id) const;
    // Throws ParamTypeError for a value of another type, where ncnn silently takes its default.
    int64_t int_param(int id, int64_t otherwise) const;
    double float_param(int id, double otherwise) const;  // an integer is converted, as ncnn does
    Integers int_array(int id) const;                    // empty where absent
    Reals float_array(int id) const;

private:
    std::string described(const std::string& problem) const;
    [[noreturn]] void fail_type(int id, const char* expected, const Value& found) const;
};

// The counts that the second line of a .param file declares, and what really follows.
struct Header {
    int64_t declared_layers, declared_blobs, found_layers, found_blobs;
};

struct Graph {
    std::vector<Layer> layers;
    std::optional<Header> header;
    std::string source;  // the file, for messages

    std::string label() const { return source.empty() ? "the graph" : source; }
    // Every blob once, in order of first mention.
    std::vector<std::string> blob_names() const;
    // Blobs that a caller must feed: outputs of Input layers, then blobs that nothing makes.
    std::vector<std::string> input_names() const;
    // Blobs that no layer reads, in order of production.
    std::vector<std::string> output_names() const;
};

// Throws GraphError where the header's counts are not the real ones: ncnn ignores lines after the declared count.
void check_header(const Graph& graph);

}  // namespace pocketdet::graph
