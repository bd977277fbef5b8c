// What corrupted ncnn's memory, and hostile parameters in every place. Needs no ncnn.
#include <limits>

#include "graph_fixtures.h"
#include "layer_types.h"

namespace pocketdet::graph {
namespace {

// ncnn multiplies both sides of an adaptive pooling in 32 bits; a copy of this crashed it.
void test_adaptive_pooling() {
    const auto pool = [](const std::string& params) {
        return "7767517\n2 2\nInput i 0 1 in0\nPooling p 1 1 in0 out0 7=1 " + params + "\n";
    };
    check(pool("8=8388606 18=1"), {{"in0", {1, 1, 255}}});
    check(pool("8=-233 18=-233"), {{"in0", {1, 1, 1 << 20}}});
    refuse([&] { check(pool("8=16777216 18=1"), {{"in0", {1, 1, 256}}}); },
           "Pooling 'p': pools 256 pixels to 16777216, which is beyond ncnn's 32-bit arithmetic");
    refuse([&] { check(pool("8=1 18=16777216"), {{"in0", {1, 256, 1}}}); }, "pools 256 pixels to 16777216");
}

// What corrupted ncnn's memory.
void test_vectors_and_groups() {
    const auto vector = [](const std::string& params) {
        return single("Convolution c 1 1 in0 out0 0=2 1=1 6=6 " + params);
    };
    const NamedShapes input{{"in0", {3}}};
    check(vector(""), input);
    for (const char* params : {"4=16384", "4=-233", "14=2000", "3=2", "13=2", "2=2", "12=2", "8=1"}) {
        refuse([&] { check(vector(params), input); }, "Convolution 'c': a vector (3,) needs pads of 0, strides and");
    }
    refuse([&] { check(vector("8=2 3=5"), input); }, "found (0, 0, 0, 0), (5, 5), (1, 1) and 2");
    refuse([&] { check(vector("15=-200000"), input); }, "must be 0..16384, found (0, 0, 0, -200000)");
    for (const char* type : {"ConvolutionDepthWise", "DeconvolutionDepthWise"}) {
        const auto grouped = [type](int count) {
            const std::string n = std::to_string(count), weights = std::to_string(2 * count);
            return single(std::string(type) + " d 1 1 in0 out0 0=" + weights + " 1=1 6=" + weights + " 7=" + n);
        };
        check(grouped(4096), {{"in0", {4096, 1, 1}}});
        refuse([&] { check(grouped(4097), {{"in0", {4097, 1, 1}}}); }, "'d': has 4097 groups, allowed are 4096");
    }
}

// A layer of a type with as few inputs as it takes, all of one shape. Whether it has a shape; if not, one sentence.
bool has_shape(const LayerType& type, const std::vector<Param>& params, const Shape& shape) {
    Graph graph;
    NamedShapes inputs;
    Layer layer;
    layer.type = type.name;
    layer.name = "x";
    layer.outputs = {"y"};
    layer.params = params;
    for (int i = 0; i < type.inputs.least; ++i) {
        layer.inputs.push_back("in" + std::to_string(i));
        inputs.emplace_back(layer.inputs.back(), shape);
    }
    graph.layers.push_back(layer);
    try {
        const BlobShapes found = infer_shapes(graph, inputs);
        CHECK(elements_of(found.at("y")) <= 1 << 28);
        count_costs(graph, found);
        const Shapes taken(inputs.size(), shape);
        CHECK(type.rule == nullptr || workspace_of(layer, taken, {found.at("y")}) >= 0);
        return true;
    } catch (const GraphError& error) {
        CHECK(std::strlen(error.what()) < 1000);
        return false;
    }
}

// Every parameter of every type in turn takes hostile values: a shape or a sentence, and no overflow, which the build
// with sanitizers would show.
void test_hostile_parameters() {
    const int64_t least = -2147483648LL, most = 2147483647;
    const Value values[] = {
        int64_t{0},
        int64_t{1},
        int64_t{-1},
        int64_t{-233},
        int64_t{101},
        int64_t{65536},
        most,
        least,
        0.5,
        -1e38,
        std::numeric_limits<double>::quiet_NaN(),
        std::numeric_limits<double>::infinity(),
        std::string("x"),
        Integers{},
        Integers{least, most},
        Integers{0, 1, 2},
        Reals{1e30, -1e30},
    };
    const Value others[] = {int64_t{1}, most, least};
    const Shapes shapes{{7}, {5, 4}, {4, 6, 5}, {2, 3, 4, 5}, {1 << 28}, {1, 1 << 14, 1 << 14}, {1 << 28, 1, 1}};
    size_t passed = 0, refused = 0;
    for (const LayerType& type : layer_types()) {
        for (int id = 0; id <= kMaxParamId; ++id) {
            if (!type.has_param(id) && id != kShapeHints && id != kFeatureMask) continue;
            for (const Value& value : values) {
                for (const Value& other : others) {
                    std::vector<Param> params{{id, value, ""}};
                    for (const int key : {0, 1, 6}) {
                        if (key != id) params.push_back({key, other, ""});
                    }
                    for (const Shape& shape : shapes) ++(has_shape(type, params, shape) ? passed : refused);
                }
            }
        }
    }
    CHECK(passed > 5'000 && refused > 50'000);
}

}  // namespace
}  // namespace pocketdet::graph

int main() {
    using namespace pocketdet::graph;
    test_adaptive_pooling();
    test_vectors_and_groups();
    test_hostile_parameters();
    std::puts("graph_hostile_test: all hold");
    return 0;
}
