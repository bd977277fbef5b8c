// Our layers on packed maps against plain loops and against ncnn's, on 64-bit ARM and on x86 with AVX2; elsewhere
// ncnn's layers stay.
#include <algorithm>
#include <cmath>

#include "check.h"
#include "drawn.h"
#include "kernels.h"
#include "layer_net.h"

namespace pocketdet {
namespace {

// Numbers that halves hold.
Drawn drawn_halves(unsigned seed) { return Drawn(seed, 64); }

struct Layer {
    const char* type;
    int planes, outputs, kernel, stride, pad_before, pad_after, group;
    bool has_bias;
    int activation;  // of ncnn: none, ReLU, leaky ReLU: 0, 1, 2; sigmoid, HardSwish: 4, 6

    int taps() const { return planes / group * kernel * kernel; }
    std::string param() const {
        std::string text = "7767517\n2 2\nInput in 0 1 in0\n" + std::string(type) + " l 1 1 in0 out0";
        const auto add = [&](int id, int value) { text += " " + std::to_string(id) + "=" + std::to_string(value); };
        if (std::string(type) == "Pooling") {
            for (const auto& [id, value] : {std::pair{0, 0}, {1, 3}, {2, 2}, {3, 1}, {5, 1}}) add(id, value);
            return text + "\n";
        }
        for (const auto& [id, value] : {std::pair{0, outputs},
                                        {1, kernel},
                                        {3, stride},
                                        {4, pad_before},
                                        {15, pad_after},
                                        {16, pad_after},
                                        {5, has_bias ? 1 : 0},
                                        {6, outputs * taps()},
                                        {9, activation}}) {
            add(id, value);
        }
        if (group > 1) add(7, group);
        if (activation == 2) text += " -23310=1,0.1";
        if (activation == 6) text += " -23310=2,0.2,0.5";
        return text + "\n";
    }
};

std::vector<float> drawn_weights(size_t count, unsigned seed) {
    Drawn drawn = drawn_halves(seed);
    std::vector<float> weights(count);
    for (float& weight : weights) weight = drawn.next();
    return weights;
}

// As ncnn defines activations, by their numbers; 100 is Swish.
double activated(int activation, double x) {
    switch (activation) {
        case 1:
            return std::max(x, 0.);
        case 2:
            return x < 0 ? 0.1 * x : x;
        case 4:
            return 1 / (1 + std::exp(-x));
        case 6:
            return x == -INFINITY ? 0 : x * std::clamp(0.2 * x + 0.5, 0., 1.);
        case 100:
            return x == -INFINITY ? 0 : x / (1 + std::exp(-x));
        default:
            return x;
    }
}

// What an activation adds to the error of an element.
double activation_error(int activation, Arithmetic arithmetic, double x) {
    if (activation < 2) return 0;
    return (arithmetic == Arithmetic::fp16 ? 1.2e-3 : 1e-6) * std::max(1., std::abs(x));
}

struct Sum {
    double value, magnitude;  // of the products
};

Sum sum_at(const Layer& l, const ncnn::Mat& input, const std::vector<float>& weights, int o, int y, int x) {
    const double bias = l.has_bias ? static_cast<double>(weights[static_cast<size_t>(l.outputs * l.taps() + o)]) : 0;
    Sum sum{bias, std::abs(bias)};
    const int depth = l.planes / l.group;
    for (int k = 0; k < l.taps(); ++k) {
        const int c = o / (l.outputs / l.group) * depth + k / (l.kernel * l.kernel);
        const int row = y * l.stride - l.pad_before + k / l.kernel % l.kernel;
        const int column = x * l.stride - l.pad_before + k % l.kernel;
        if (row < 0 || row >= input.h || column < 0 || column >= input.w) continue;
        const double product = static_cast<double>(weights[static_cast<size_t>(o * l.taps() + k)]) *
                               static_cast<double>(input.channel(c).row(row)[column]);
        sum.value += product;
        sum.magnitude += std::abs(product);
    }
    return sum;
}

void test_convolution(const Layer& l, Arithmetic arithmetic, int width, int height) {
    Drawn drawn = drawn_halves(static_cast<unsigned>(width * 100 + height));
    const ncnn::Mat input = drawn.maps(width, height, l.planes);
    const std::vector<float> weights =
        drawn_weights(static_cast<size_t>(l.outputs * (l.taps() + (l.has_bias ? 1 : 0))), 5);
    const LayerNet theirs(l.param(), arithmetic, false, stored(weights)),
        ours(l.param(), arithmetic, true, stored(weights));
    CHECK(theirs.type() == l.type && ours.type().rfind("Pocketdet", 0) == 0);
    const ncnn::Mat expected = theirs.run(input), found = ours.run(input);
    CHECK(found.w == (width + l.pad_before + l.pad_after - l.kernel) / l.stride + 1);
    CHECK(found.w == expected.w && found.h == expected.h && found.c == l.outputs && expected.c == l.outputs);
    const double rounding = std::ldexp(1., arithmetic == Arithmetic::fp16 ? -11 : -24) * (l.taps() + 2);
    for (int o = 0; o < l.outputs; ++o) {
        for (int i = 0; i < found.w * found.h; ++i) {
            const Sum sum = sum_at(l, input, weights, o, i / found.w, i % found.w);
            const double slope = l.activation == 6 ? 1.5 : 1;  // the steepest of the function
            const double most =
                slope * rounding * sum.magnitude + activation_error(l.activation, arithmetic, sum.value);
            CHECK_NEAR(found.channel(o)[i], activated(l.activation, sum.value), most);
            CHECK_NEAR(found.channel(o)[i], expected.channel(o)[i], 2 * most);
        }
    }
}

// A convolution of a vector is a product with a matrix.
void test_vector(Arithmetic arithmetic, int outputs) {
    const Layer l{"Convolution", 40, outputs, 1, 1, 0, 0, 1, true, 1};
    const LayerNet net(l.param(), arithmetic, true,
                       stored(drawn_weights(static_cast<size_t>(l.outputs * (l.planes + 1)), 6)));
    const ncnn::Mat map = drawn_halves(7).maps(1, 1, l.planes);
    const ncnn::Mat found = net.run(map.reshape(l.planes)), expected = net.run(map);
    CHECK(found.dims == 1 && found.w == l.outputs && expected.c == l.outputs);
    for (int o = 0; o < l.outputs; ++o) CHECK(found[o] == expected.channel(o)[0]);
}

void test_max_pool(Arithmetic arithmetic, int width, int height, int channels) {
    const Layer l{"Pooling", channels, channels, 3, 2, 1, 1, channels, false, 0};
    Drawn drawn = drawn_halves(9);
    const ncnn::Mat input = drawn.maps(width, height, channels);
    const LayerNet theirs(l.param(), arithmetic, false, {}), ours(l.param(), arithmetic, true, {});
    CHECK(theirs.type() == l.type && ours.type() == "PocketdetMaxPool");
    const ncnn::Mat expected = theirs.run(input), found = ours.run(input);
    CHECK(found.w == expected.w && found.h == expected.h && found.c == channels && expected.c == channels);
    for (int c = 0; c < channels; ++c) {
        for (int i = 0; i < found.w * found.h; ++i) CHECK(found.channel(c)[i] == expected.channel(c)[i]);
    }
}

constexpr char kMean[] = "Reduction l 1 1 in0 out0 0=3 1=0 -23303=2,1,2 4=1 5=1";
constexpr char kDouble[] = "Interp l 1 1 in0 out0 0=1 1=2.0 2=2.0 6=0";

void check_equal(const ncnn::Mat& found, const ncnn::Mat& expected, double tolerance = 0) {
    CHECK(found.w == expected.w && found.h == expected.h && found.c == expected.c && found.dims == expected.dims);
    for (int c = 0; c < found.c; ++c) {
        for (int i = 0; i < found.w * found.h; ++i) {
            CHECK_NEAR(found.channel(c)[i], static_cast<double>(expected.channel(c)[i]), tolerance);
        }
    }
}

std::string end_of_unit(const std::string& shuffle, const std::string& slice) {
    return "7767517\n5 6\nInput i 0 1 in0\nInput j 0 1 in1\nConcat a 2 1 in0 in1 a 0=0\nShuffleChannel b 1 1 a b " +
           shuffle + "\nSlice c 1 2 b out0 out1 " + slice + "\n";
}

// `shuffle` and `half_size` are the text of its parameters and of a size of the slices.
void test_shuffle(Arithmetic arithmetic, int passed, int computed, const std::string& shuffle,
                  const std::string& half_size) {
    const std::string param = end_of_unit(shuffle, "-23300=2," + half_size + "," + half_size + " 1=0");
    const LayerNet ours(param, arithmetic, true, {}), theirs(param, arithmetic, false, {});
    CHECK(ours.type(2) == "PocketdetHandOn" && ours.type(4) == "PocketdetShuffled");
    const std::vector<ncnn::Mat> inputs{drawn_halves(3).maps(5, 3, passed), drawn_halves(4).maps(5, 3, computed)};
    for (const char* half : {"out0", "out1"}) {
        const ncnn::Mat found = ours.run(inputs, half), expected = theirs.run(inputs, half);
        CHECK(found.c == (passed + computed) / 2 && expected.c == found.c && found.w == 5 && found.h == 3);
        for (int c = 0; c < found.c; ++c) {
            for (int i = 0; i < 15; ++i) CHECK(found.channel(c)[i] == expected.channel(c)[i]);
        }
    }
}

// The end of a unit that no other follows.
void test_whole_shuffle(Arithmetic arithmetic, int passed, int computed, const std::string& shuffle) {
    const std::string param =
        "7767517\n4 4\nInput i 0 1 in0\nInput j 0 1 in1\nConcat a 2 1 in0 in1 a 0=0\nShuffleChannel b 1 1 a out0 " +
        shuffle + "\n";
    const LayerNet ours(param, arithmetic, true, {}), theirs(param, arithmetic, false, {});
    CHECK(ours.type(2) == "PocketdetHandOn" && ours.type(3) == "PocketdetShuffled");
    const std::vector<ncnn::Mat> inputs{drawn_halves(3).maps(5, 3, passed), drawn_halves(4).maps(5, 3, computed)};
    check_equal(ours.run(inputs, "out0"), theirs.run(inputs, "out0"));
}

// A layer without weights against ncnn's; their values may differ by `tolerance`.
void test_simple(Arithmetic arithmetic, const std::string& line, const char* own, int channels, double tolerance) {
    const std::string param = "7767517\n2 2\nInput in 0 1 in0\n" + line + "\n";
    const LayerNet ours(param, arithmetic, true, {}), theirs(param, arithmetic, false, {});
    CHECK(ours.type() == own && theirs.type() == line.substr(0, line.find(' ')));
    for (const auto& [width, height] : {std::pair{20, 4}, {5, 3}, {1, 1}}) {
        const ncnn::Mat input = drawn_halves(11).maps(width, height, channels);
        check_equal(ours.run(input), theirs.run(input), tolerance);
    }
}

// The mean of each channel against its sum in double precision.
void test_mean(int channels, int width, int height) {
    const std::string param = "7767517\n2 2\nInput in 0 1 in0\n" + std::string(kMean) + "\n";
    const ncnn::Mat input = drawn_halves(12).maps(width, height, channels);
    const ncnn::Mat found = LayerNet(param, Arithmetic::fp16, true, {}).run(input);
    CHECK(found.c == channels && found.w == 1 && found.h == 1);
    for (int c = 0; c < channels; ++c) {
        double sum = 0;
        for (int i = 0; i < width * height; ++i) sum += static_cast<double>(input.channel(c)[i]);
        const double mean = sum / (width * height);
        CHECK_NEAR(found.channel(c)[0], mean, std::ldexp(std::abs(mean), -11) + 1e-6);
    }
}

constexpr char kLeakyRelu[] = "ReLU l 1 1 in0 out0 0=0.1", kSigmoid[] = "Sigmoid l 1 1 in0 out0",
               kSwish[] = "Swish l 1 1 in0 out0", kHardSwish[] = "HardSwish l 1 1 in0 out0 0=0.2 1=0.5";

// Numbers of all magnitudes, which halves hold, zeros and infinities.
std::vector<float> of_all_magnitudes() {
    std::vector<float> numbers{0.f, -0.f, INFINITY, -INFINITY};
    for (int exponent = -14; exponent < 16; ++exponent) {
        for (int i = 0; i < 256; ++i) {
            numbers.push_back(std::ldexp(1.f + static_cast<float>(i) / 256, exponent));
            numbers.push_back(-numbers.back());
        }
    }
    return numbers;
}

// A layer of its own against the function and against ncnn's layer, on maps that fill vectors and others.
void test_activation(Arithmetic arithmetic, const std::string& line, const char* own, int activation, int channels,
                     int width, int height) {
    const std::string param = "7767517\n2 2\nInput in 0 1 in0\n" + line + "\n";
    const LayerNet ours(param, arithmetic, true, {}), theirs(param, arithmetic, false, {});
    CHECK(ours.type() == own && theirs.type() == line.substr(0, line.find(' ')));
    const std::vector<float> numbers = of_all_magnitudes();
    ncnn::Mat input(width, height, channels);
    for (int c = 0, i = 0; c < channels; ++c) {
        for (int k = 0; k < width * height; ++k)
            input.channel(c)[k] = numbers[static_cast<size_t>(i++) % numbers.size()];
    }
    const ncnn::Mat found = ours.run(input), expected = theirs.run(input);
    CHECK(found.w == width && found.h == height && found.c == channels);
    for (int c = 0; c < channels; ++c) {
        for (int k = 0; k < width * height; ++k) {
            const double x = static_cast<double>(input.channel(c)[k]), value = activated(activation, x);
            const float result = found.channel(c)[k], theirs_result = expected.channel(c)[k];
            if (std::isinf(value)) CHECK(result == static_cast<float>(value));
            // HardSwish of minus infinity is NaN in ncnn's vectors, and 0 in its single elements
            if (std::isinf(x)) CHECK(!std::isnan(result) || std::isnan(theirs_result) || activation == 6);
            if (std::isinf(x)) continue;
            CHECK_NEAR(result, value, activation_error(activation, arithmetic, x));
        }
    }
}

void test_activations(Arithmetic arithmetic) {
    const struct {
        const char *line, *own;
        int activation;
    } layers[] = {{kLeakyRelu, "PocketdetLeakyRelu", 2},
                  {kSigmoid, "PocketdetSigmoid", 4},
                  {kHardSwish, "PocketdetHardSwish", 6},
                  {kSwish, "PocketdetSwish", 100}};
    for (const auto& layer : layers) {
        for (int channels : {1, 4, 6, 24}) {
            for (const auto& [width, height] : {std::pair{80, 50}, {5, 3}, {1, 1}}) {
                test_activation(arithmetic, layer.line, layer.own, layer.activation, channels, width, height);
            }
        }
    }
}

void test_half_layers() {
    for (int channels : {1, 4, 8, 248}) test_mean(channels, 10, 10), test_mean(channels, 3, 5);
    for (int channels : {245, 8, 6, 1}) {
        const std::string crop = "Crop l 1 1 in0 out0 -23309=1,0 -23310=1," + std::to_string(channels) + " -23311=1,0";
        for (int more : {0, 3, 8}) {
            test_simple(Arithmetic::fp16, crop, "PocketdetCrop", channels + more, 0);
        }
    }
    for (const auto& [width, height] : {std::pair{20, 4}, {5, 3}, {1, 1}}) {
        for (int outputs : {50, 100, 4, 9}) {
            test_convolution({"Convolution", 16, outputs, 1, 1, 0, 0, 1, outputs != 50, outputs == 4 ? 1 : 0},
                             Arithmetic::fp16, width, height);
        }
    }
}

// Two fully connected layers with ReLU between them, as a head has.
void test_head(Arithmetic arithmetic, int rows, int inputs, int hidden, int outputs) {
    const auto gemm = [](const char* blobs, int columns, int depth) {
        return std::string("Gemm ") + blobs + " 10=4 2=0 3=1 4=0 5=1 6=1 7=0 8=" + std::to_string(columns) +
               " 9=" + std::to_string(depth) + "\n";
    };
    const std::string param = "7767517\n4 4\nInput in 0 1 in0\n" + gemm("a 1 1 in0 a", hidden, inputs) +
                              "ReLU b 1 1 a b\n" + gemm("c 1 1 b out0", outputs, hidden);
    std::vector<float> weights;
    for (const int count : {hidden * inputs, hidden, outputs * hidden, outputs}) {
        const std::vector<float> part = stored(drawn_weights(static_cast<size_t>(count), 8));
        weights.insert(weights.end(), part.begin(), part.end());
    }
    const ncnn::Mat input = drawn_halves(9).maps(inputs, rows, 1).reshape(inputs, rows);
    const ncnn::Mat expected = LayerNet(param, Arithmetic::fp32, false, weights).run(input);
    const LayerNet ours(param, arithmetic, true, weights), theirs(param, arithmetic, false, weights);
    CHECK(ours.type(1) == "PocketdetFullyConnected" && ours.type(2) == "PocketdetHandOn");
    const ncnn::Mat found = ours.run(input), also = theirs.run(input);
    CHECK(found.dims == 2 && found.w == outputs && found.h == rows);
    const double relative = arithmetic == Arithmetic::fp16 ? 2e-3 : 1e-6;
    for (int y = 0; y < rows; ++y) {
        for (int x = 0; x < outputs; ++x) {
            // products are up to `inputs` times `hidden` ones, of random signs
            const double most = relative * std::sqrt(static_cast<double>(inputs)) * hidden;
            CHECK_NEAR(found.row(y)[x], expected.row(y)[x], most);
            CHECK_NEAR(also.row(y)[x], expected.row(y)[x], most);
        }
    }
}

void test_kernels(Arithmetic arithmetic) {
    for (int outputs : {24, 50}) test_vector(arithmetic, outputs);
    for (const auto& [passed, computed] : {std::pair{8, 8}, {24, 24}, {16, 16}, {8, 24}, {6, 6}, {4, 4}}) {
        for (const std::string& half : {std::string("-233"), std::to_string((passed + computed) / 2)}) {
            test_shuffle(arithmetic, passed, computed, "0=2 1=0", half);
            test_shuffle(arithmetic, passed, computed, "0=2 1=1", half);
        }
        for (const char* shuffle : {"0=2", "0=2 1=1"}) test_whole_shuffle(arithmetic, passed, computed, shuffle);
    }
    test_activations(arithmetic);
    for (int channels : {1, 4, 8, 24}) test_simple(arithmetic, kDouble, "PocketdetDouble", channels, 0);
    if (kernels_for(arithmetic)->to_planes != nullptr) test_half_layers();
    for (int rows : {1, 7, 20}) {
        test_head(arithmetic, rows, 245, 64, 36);
        test_head(arithmetic, rows, 16, 40, 8);
    }
    for (const auto& [width, height] : {std::pair{33, 9}, {18, 4}, {16, 5}, {7, 7}, {2, 3}, {1, 1}}) {
        for (int outputs : {8, 16, 24, 48}) {
            test_convolution({"Convolution", 3, outputs, 3, 2, 1, 1, 1, outputs != 16, outputs != 8 ? 1 : 0},
                             arithmetic, width, height);
        }
        test_convolution({"Convolution", 4, 32, 3, 2, 0, 2, 1, true, 1}, arithmetic, width + 2, height + 2);
        for (int outputs : {8, 16, 48}) {
            test_convolution({"Convolution", 3, outputs, 6, 2, 2, 2, 1, outputs != 8, outputs != 8 ? 1 : 0}, arithmetic,
                             width + 1, height + 1);
        }
        test_convolution({"Convolution", 4, 16, 6, 2, 3, 1, 1, true, 1}, arithmetic, width + 1, height + 1);
        for (int outputs : {4, 8, 12, 28}) {  // 4 more than fill vectors of 8 are packed by 4
            test_convolution({"Convolution", 3, outputs, 2, 2, 0, 0, 1, outputs == 28, outputs == 28 ? 2 : 0},
                             arithmetic, width + 1, height + 1);
            test_convolution({"Convolution", 3, outputs, 3, 2, 1, 1, 1, true, 1}, arithmetic, width, height);
        }
        for (int activation : {2, 4, 6}) {
            test_convolution({"Convolution", 16, 24, 1, 1, 0, 0, 1, true, activation}, arithmetic, width, height);
            test_convolution({"Convolution", 3, 16, 3, 2, 1, 1, 1, true, activation}, arithmetic, width, height);
            test_convolution({"ConvolutionDepthWise", 16, 16, 5, 1, 2, 2, 16, true, activation}, arithmetic, width,
                             height);
        }
        for (int outputs : {8, 16, 24}) {
            for (int planes : {8, 40}) {
                test_convolution({"Convolution", planes, outputs, 1, 1, 0, 0, 1, outputs != 16, outputs != 8 ? 1 : 0},
                                 arithmetic, width, height);
            }
        }
        for (int stride : {1, 2}) {
            for (int channels : {8, 24}) {
                test_convolution({"ConvolutionDepthWise", channels, channels, 5, stride, 2, 2, channels, stride == 1,
                                  channels == 8 ? 1 : 0},
                                 arithmetic, width, height);
            }
            test_convolution({"ConvolutionDepthWise", 16, 16, 5, stride, 1, 3, 16, true, 0}, arithmetic, width + 1,
                             height + 1);
            for (int tiles : {1, 2, 4}) {  // of 10 pixels on ARM and 8 on x86, which need no padding
                for (int pixels : {8, 10}) {
                    test_convolution({"ConvolutionDepthWise", 16, 16, 5, stride, 2, 2, 16, true, tiles == 1 ? 1 : 0},
                                     arithmetic, stride * tiles * pixels, height + 1);
                }
            }
        }
        for (int channels : {1, 4, 8, 24}) test_max_pool(arithmetic, width, height, channels);
    }
}

// Whether a layer of a graph's text is one of ours.
bool is_own(const std::string& text, Arithmetic arithmetic) {
    ncnn::Net net;
    return with_own_layers(net, text + "\n", arithmetic) != text + "\n";
}

void test_other_layers_stay(Arithmetic arithmetic) {
    const std::string stem = "Convolution c 1 1 a b 0=24 1=3 3=2 4=1 5=1 6=648",
                      pointwise = "Convolution c 1 1 a b 0=24 1=1 5=1 6=384",
                      six = "Convolution c 1 1 a b 0=24 1=6 3=2 4=2 5=1 6=2592",
                      two = "Convolution c 1 1 a b 0=12 1=2 3=2 5=1 6=144",
                      depthwise = "ConvolutionDepthWise c 1 1 a b 0=24 1=5 3=2 4=2 5=1 6=600 7=24",
                      pool = "Pooling c 1 1 a b 1=3 2=2 3=1 5=1",
                      gemm = "Gemm c 1 1 a b 10=4 2=0 3=1 4=0 5=1 6=1 7=0 8=36 9=245";
    for (const std::string& line : {stem, stem + " 9=1", stem + " 31=32", six, two, pointwise, pointwise + " 9=1",
                                    depthwise, depthwise + " 9=1", pool, gemm}) {
        CHECK(is_own(line, arithmetic) == (kernels_for(arithmetic) != nullptr));
    }
    for (const std::string& line : {stem, pointwise, depthwise}) {
        for (const char* added : {" 9=2 -23310=1,1.0e-01", " 9=4", " 9=6 -23310=2,1.6e-01,0.5"}) {
            CHECK(is_own(line + added, arithmetic) == (kernels_for(arithmetic) != nullptr));
        }
    }
    for (const char* line : {kLeakyRelu, kSigmoid, kSwish, kHardSwish}) {
        CHECK(is_own(line, arithmetic) == (kernels_for(arithmetic) != nullptr));
        CHECK(!is_own(std::string(line) + " 31=1", arithmetic));
    }
    for (const char* slope : {"", " 0=0", " 0=-0.1", " 0=1.5"}) {
        CHECK(!is_own(std::string("ReLU c 1 1 a b") + slope, arithmetic));
    }
    for (const Arithmetic other : {Arithmetic::fp16_storage, Arithmetic::bf16_storage}) CHECK(!is_own(stem, other));
    for (const char* added :
         {"9=2", "9=2 -23310=1,-0.1", "9=2 -23310=1,1.5", "9=3 -23310=2,0,6", "9=5", "9=6 -23310=1,0.2", "8=102", "2=2",
          "11=7", "13=3", "4=-233", "18=1.0", "19=1", "31=2", "15=9"}) {
        for (const std::string& line : {stem, pointwise, depthwise}) CHECK(!is_own(line + " " + added, arithmetic));
    }
    for (const char* added : {"0=1", "4=1", "5=0", "3=0", "11=2", "15=0", "7=1", "31=2"}) {
        CHECK(!is_own(pool + " " + added, arithmetic));
    }
    for (const char* added : {"10=-1", "2=1", "3=0", "4=1", "5=0", "6=0", "14=1", "18=2", "0=1.0", "31=2"}) {
        CHECK(!is_own(gemm + " " + added, arithmetic));
    }
    for (const char* relu : {"ReLU d 1 1 b c 0=-1.000000e-01", "ReLU d 1 1 e c"}) {
        ncnn::Net net;
        const std::string text = "7767517\n3 3\nInput i 0 1 a\n" + gemm + "\n" + relu + "\n";
        CHECK(with_own_layers(net, text, arithmetic).find(relu) != std::string::npos);
    }
    CHECK(!is_own("Convolution c 1 1 a b 0=18 1=1 6=288 9=4", arithmetic));
    for (const char* shuffle : {"0=3 1=0", "0=3 1=1", "0=2 1=2"}) {
        CHECK(!is_own(end_of_unit(shuffle, "-23300=2,-233,-233 1=0"), arithmetic));
    }
    for (const char* slice :
         {"-23300=2,8,-233 1=0", "-23300=2,-233,-233 1=1", "-23300=2,-233,-2330 1=0", "-23302=1,8 1=0"}) {
        ncnn::Net net;
        const std::string text = with_own_layers(net, end_of_unit("0=2 1=0", slice), arithmetic);
        CHECK(text.find(std::string("Slice c 1 2 b out0 out1 ") + slice) != std::string::npos);
    }
    for (const char* added : {" 9=4", " 4=1", " 3=2"}) {  // of planes, but not ours
        CHECK(!is_own(std::string("Convolution c 1 1 a b 0=18 1=1 6=288") + added, arithmetic));
    }
    const bool is_half = kernels_for(arithmetic) != nullptr && kernels_for(arithmetic)->to_planes != nullptr;
    const std::string crop = "Crop l 1 1 a b -23309=1,0 -23310=1,5 -23311=1,0",
                      planes = "Convolution c 1 1 a b 0=18 1=1 6=288";
    for (const std::string& line : {std::string(kMean), crop, planes}) {
        CHECK(is_own(line, arithmetic) == is_half);
    }
    for (const std::string& line : {crop, planes}) {  // for the ends of graphs
        CHECK(!is_own(line + "\nNoop e 1 1 b d", arithmetic));
    }
    for (const char* mean : {"0=0 1=0 -23303=2,1,2 4=1 5=1", "0=3 1=1 4=1 5=1", "0=3 1=0 -23303=1,1 4=1 5=1",
                             "0=3 1=0 -23303=2,1,2 4=0 5=1", "0=3 1=0 -23303=2,1,2 2=2.0 4=1 5=1"}) {
        CHECK(!is_own(std::string("Reduction l 1 1 a b ") + mean, arithmetic));
    }
    for (const char* cut : {"-23309=1,1 -23310=1,5 -23311=1,0", "-23309=1,0 -23310=1,5 -23311=1,1", "1=2 3=5"}) {
        CHECK(!is_own(std::string("Crop l 1 1 a b ") + cut, arithmetic));
    }
    CHECK(is_own(kDouble, arithmetic) == (kernels_for(arithmetic) != nullptr));
    for (const char* size : {"0=2 1=2.0 2=2.0 6=0", "0=1 1=2.0 2=3.0 6=0", "0=1 1=2.0 2=2.0 6=1", "0=1 3=4 4=4"}) {
        CHECK(!is_own(std::string("Interp l 1 1 a b ") + size, arithmetic));
    }
    CHECK(!is_own("Convolution c 1 1 a b 0=24 1=3 3=2 4=1 5=1 6=3456", arithmetic));  // from 16 channels
    CHECK(!is_own("Convolution c 1 1 a b 0=24 1=5 3=2 4=1 5=1 6=1800", arithmetic));  // 5x5
    CHECK(!is_own("Convolution c 1 1 a b 0=24 1=1 6=144", arithmetic));               // from 6
    CHECK(!is_own("Convolution c 1 1 a b 0=24 1=1 3=2 6=384", arithmetic));
    CHECK(!is_own("Convolution c 1 1 a b 0=6 1=3 3=2 4=1 5=1 6=162", arithmetic));
    CHECK(!is_own("ConvolutionDepthWise c 1 1 a b 0=24 1=5 3=2 4=2 6=1200 7=12", arithmetic));
}

}  // namespace
}  // namespace pocketdet

int main() {
    using pocketdet::Arithmetic;
    for (const Arithmetic arithmetic : {Arithmetic::fp32, Arithmetic::fp16}) {
        if (pocketdet::arithmetic_in_use(arithmetic) != arithmetic) continue;
        pocketdet::test_other_layers_stay(arithmetic);
        if (pocketdet::kernels_for(arithmetic) != nullptr) pocketdet::test_kernels(arithmetic);
    }
    std::puts("ok");
    return 0;
}
