// Our layers in int8 against plain loops on the same integers and against ncnn's, on 64-bit ARM processors that have
// dot products of int8; elsewhere ncnn's layers stay.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include <ncnn/cpu.h>

#include "check.h"
#include "drawn.h"
#include "layer_net.h"

namespace pocketdet {
namespace {

constexpr double kHalfRounding = 0x1p-11, kLeastHalf = 0x1p-24;
constexpr int kNone = 0, kRelu = 1, kSigmoid = 4;  // activations of ncnn

double as_half(float value) { return static_cast<double>(ncnn::float16_to_float32(ncnn::float32_to_float16(value))); }

std::vector<int8_t> drawn_bytes(int count, unsigned seed) {
    Drawn drawn(seed, 127);
    std::vector<int8_t> bytes(static_cast<size_t>(count));
    for (int8_t& byte : bytes) byte = static_cast<int8_t>(std::lround(drawn.next(127)));
    return bytes;
}

std::vector<float> drawn_floats(int count, float from, float to, unsigned seed) {
    Drawn drawn(seed);
    std::vector<float> floats(static_cast<size_t>(count));
    for (float& one : floats) one = (from + to + drawn.next(to - from)) / 2;
    return floats;
}

// int8 as a file of weights has them.
std::vector<float> stored_bytes(const std::vector<int8_t>& bytes) {
    const uint32_t mark = 0x000D4B38;
    std::vector<float> words(1 + (bytes.size() + 3) / 4);
    std::memcpy(words.data(), &mark, sizeof(mark));
    std::memcpy(words.data() + 1, bytes.data(), bytes.size());
    return words;
}

std::vector<float> joined(std::initializer_list<std::vector<float>> parts) {
    std::vector<float> all;
    for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

struct Weights {
    Weights(int outputs, int inputs)
        : depth(inputs),
          bytes(drawn_bytes(outputs * inputs, 5)),
          bias(drawn_floats(outputs, -1, 1, 6)),
          scales(drawn_floats(outputs, 100, 300, 7)) {}

    int depth;
    std::vector<int8_t> bytes;
    std::vector<float> bias, scales;
};

struct Expected {
    double value;
    double error;  // of ours
    double step;   // by which the output changes if every input does by one
};

// An output of a layer whose inputs are `input(k)`.
template <class Input>
Expected expected_of(const Weights& weights, int output, Input input, double input_scale, int activation) {
    const auto o = static_cast<size_t>(output);
    int64_t sum = 0, magnitude = 0;
    for (int k = 0; k < weights.depth; ++k) {
        const int weight = weights.bytes[o * static_cast<size_t>(weights.depth) + static_cast<size_t>(k)];
        const double scaled = static_cast<double>(input(k)) * input_scale;
        sum += weight * std::lround(std::clamp(std::nearbyint(scaled), -127., 127.));
        magnitude += std::abs(weight);
    }
    const double unit = 1 / (input_scale * static_cast<double>(weights.scales[o]));
    double value = static_cast<double>(sum) * unit + static_cast<double>(weights.bias[o]);
    if (activation == kRelu) value = std::max(value, 0.);
    if (activation == kSigmoid) value = 1 / (1 + std::exp(-value));
    return {value, kHalfRounding * std::abs(value) + unit + kLeastHalf + (activation == kSigmoid ? 1e-3 : 0),
            static_cast<double>(magnitude) * unit};
}

struct Convolution {
    int planes, outputs, kernel, stride, pad;
    bool has_bias;
    int activation;

    std::string param() const {
        std::string text = "7767517\n2 2\nInput in 0 1 in0\nConvolution l 1 1 in0 out0";
        for (const auto& [id, value] : {std::pair{0, outputs},
                                        {1, kernel},
                                        {3, stride},
                                        {4, pad},
                                        {5, has_bias ? 1 : 0},
                                        {6, outputs * planes * kernel * kernel},
                                        {8, 2},
                                        {9, activation}}) {
            text += " " + std::to_string(id) + "=" + std::to_string(value);
        }
        return text + "\n";
    }
    Weights weights() const {
        Weights drawn(outputs, planes * kernel * kernel);
        if (!has_bias) std::fill(drawn.bias.begin(), drawn.bias.end(), 0.f);
        return drawn;
    }
    std::vector<float> stored(const Weights& weights, float input_scale) const {
        return joined({stored_bytes(weights.bytes),
                       has_bias ? weights.bias : std::vector<float>(),
                       weights.scales,
                       {input_scale}});
    }
};

void test_pointwise(const Convolution& l, int width, int height, float input_scale) {
    const ncnn::Mat input = Drawn(3, 64).maps(width, height, l.planes);
    const Weights weights = l.weights();
    const std::vector<float> stored = l.stored(weights, input_scale);
    const LayerNet theirs(l.param(), Arithmetic::fp16, false, stored), ours(l.param(), Arithmetic::fp16, true, stored);
    CHECK(theirs.type() == "Convolution" && ours.type() == "PocketdetBytePointwise");
    const ncnn::Mat other = theirs.run(input), found = ours.run(input);
    CHECK(found.w == width && found.h == height && found.c == l.outputs && other.c == l.outputs);
    for (int o = 0; o < l.outputs; ++o) {
        for (int i = 0; i < width * height; ++i) {
            const Expected expected =
                expected_of(weights, o, [&](int k) { return input.channel(k)[i]; }, as_half(input_scale), l.activation);
            CHECK_NEAR(found.channel(o)[i], expected.value, expected.error);
            CHECK_NEAR(found.channel(o)[i], other.channel(o)[i], expected.step + 2 * expected.error);
        }
    }
}

// Our stem takes what the weights stand for, and does not round the image.
void test_stem(const Convolution& l, int width, int height, float input_scale) {
    const ncnn::Mat input = Drawn(4, 64).maps(width, height, l.planes);
    const Weights weights = l.weights();
    const std::vector<float> stored = l.stored(weights, input_scale);
    const LayerNet theirs(l.param(), Arithmetic::fp16, false, stored), ours(l.param(), Arithmetic::fp16, true, stored);
    CHECK(theirs.type() == "Convolution" && ours.type() == "PocketdetStem");
    const ncnn::Mat other = theirs.run(input), found = ours.run(input);
    CHECK(found.w == (width + 1) / 2 && found.h == (height + 1) / 2 && found.c == l.outputs && other.w == found.w);
    for (int o = 0; o < l.outputs; ++o) {
        for (int i = 0; i < found.w * found.h; ++i) {
            double value = static_cast<double>(weights.bias[static_cast<size_t>(o)]), magnitude = std::abs(value);
            double step = 0;
            for (int k = 0; k < weights.depth; ++k) {
                const int y = i / found.w * 2 - 1 + k / 3 % 3, x = i % found.w * 2 - 1 + k % 3;
                const double weight = weights.bytes[static_cast<size_t>(o * weights.depth + k)] /
                                      static_cast<double>(weights.scales[static_cast<size_t>(o)]);
                step += std::abs(weight) / static_cast<double>(input_scale);
                if (y < 0 || y >= height || x < 0 || x >= width) continue;
                const double product = weight * static_cast<double>(input.channel(k / 9).row(y)[x]);
                value += product;
                magnitude += std::abs(product);
            }
            if (l.activation == kRelu) value = std::max(value, 0.);
            const double error = kHalfRounding * (weights.depth + 3) * magnitude;
            CHECK_NEAR(found.channel(o)[i], value, error);
            CHECK_NEAR(found.channel(o)[i], other.channel(o)[i], step + 2 * error);
        }
    }
}

std::string fully_connected(int outputs, int inputs, bool relu) {
    return "7767517\n" + std::string(relu ? "3 3" : "2 2") + "\nInput in 0 1 in0\nGemm a 1 1 in0 " +
           (relu ? "a" : "out0") + " 10=1 2=0 3=1 4=1 5=0 6=1 7=" + std::to_string(outputs) +
           " 8=0 9=" + std::to_string(inputs) + " 14=1 18=2\n" + (relu ? "ReLU b 1 1 a out0\n" : "");
}

void test_fully_connected(int rows, int inputs, int outputs, bool relu) {
    const Weights weights(outputs, inputs);
    const std::vector<float> all = joined({stored_bytes(weights.bytes), stored(weights.bias), weights.scales});
    const std::string param = fully_connected(outputs, inputs, relu);
    const LayerNet theirs(param, Arithmetic::fp16, false, all), ours(param, Arithmetic::fp16, true, all);
    CHECK(theirs.type() == "Gemm" && ours.type() == "PocketdetByteFullyConnected");
    const ncnn::Mat input = Drawn(8, 64).maps(inputs, rows, 1, 3).reshape(inputs, rows);
    const ncnn::Mat other = theirs.run(input), found = ours.run(input);
    CHECK(found.dims == 2 && found.w == outputs && found.h == rows && other.w == outputs && other.h == rows);
    float largest = 0;
    for (int i = 0; i < inputs * rows; ++i) largest = std::max(largest, std::abs(input[static_cast<size_t>(i)]));
    for (int y = 0; y < rows; ++y) {
        for (int o = 0; o < outputs; ++o) {
            const Expected expected = expected_of(
                weights, o, [&](int k) { return input.row(y)[k]; }, as_half(127 / largest), relu ? kRelu : kNone);
            CHECK_NEAR(found.row(y)[o], expected.value, expected.error);
            CHECK_NEAR(found.row(y)[o], other.row(y)[o], expected.step + 2 * expected.error);
        }
    }
}

void test_kernels() {
    for (const auto& [width, height] : {std::pair{33, 9}, {7, 7}, {2, 3}, {1, 1}}) {
        for (const int planes : {8, 40, 264}) {  // the last one has sums of another kind
            for (const int outputs : {8, 24}) {
                for (const int activation : {kNone, kRelu, kSigmoid}) {
                    test_pointwise({planes, outputs, 1, 1, 0, outputs == 24, activation}, width, height, 61.3f);
                }
            }
        }
        test_pointwise({16, 50, 1, 1, 0, true, kNone}, width, height, 61.3f);  // planes
        test_pointwise({16, 8, 1, 1, 0, true, kRelu}, width, height, 400);     // most inputs are out of range
        test_pointwise({16, 8, 1, 1, 0, true, kRelu}, width, height, 1e-3f);   // all are 0
        test_stem({3, 24, 3, 2, 1, true, kRelu}, width, height, 127);
        test_stem({3, 8, 3, 2, 1, false, kNone}, width, height, 127);
    }
    for (const int rows : {1, 20}) {
        for (const bool relu : {false, true}) {
            test_fully_connected(rows, 245, 36, relu);
            test_fully_connected(rows, 272, 64, relu);
        }
    }
}

bool is_own(const std::string& text, Arithmetic arithmetic) {
    ncnn::Net net;
    return with_own_layers(net, text + "\n", arithmetic) != text + "\n";
}

void test_other_layers_stay(Arithmetic arithmetic, bool has_kernels) {
    const std::string pointwise = "Convolution c 1 1 a b 0=24 1=1 5=1 6=384 8=2",
                      gemm = "Gemm c 1 1 a b 10=1 2=0 3=1 4=1 5=0 6=1 7=36 8=0 9=245 14=1 18=2";
    CHECK(is_own(pointwise, arithmetic) == has_kernels && is_own(pointwise + " 9=4", arithmetic) == has_kernels);
    CHECK(!is_own("Convolution c 1 1 a b 0=20 1=1 6=320 8=2 9=4", arithmetic));
    CHECK(is_own(gemm, arithmetic) == has_kernels);
    for (const char* added : {"8=102", "9=3", "3=2", "4=1", "7=8", "0=4", "6=144", "31=2"}) {
        CHECK(!is_own(pointwise + " " + added, arithmetic));
    }
    for (const char* added : {"10=-1", "2=1", "3=0", "4=0", "5=1", "6=0", "8=3", "14=0", "18=0", "0=1.0", "31=2"}) {
        CHECK(!is_own(gemm + " " + added, arithmetic));
    }
    CHECK(!is_own("ConvolutionDepthWise c 1 1 a b 0=24 1=5 3=2 4=2 6=600 7=24 8=2", arithmetic));
}

bool has_kernels(Arithmetic arithmetic) {
#if defined(__aarch64__)
    return arithmetic == Arithmetic::fp16 && arithmetic_in_use(arithmetic) == arithmetic &&
           ncnn::cpu_support_arm_asimddp() != 0;
#else
    return arithmetic == Arithmetic::fp16 && false;
#endif
}

}  // namespace
}  // namespace pocketdet

int main() {
    using pocketdet::Arithmetic;
    for (const Arithmetic arithmetic : {Arithmetic::fp32, Arithmetic::fp16}) {
        if (pocketdet::arithmetic_in_use(arithmetic) != arithmetic) continue;
        pocketdet::test_other_layers_stay(arithmetic, pocketdet::has_kernels(arithmetic));
    }
    if (pocketdet::has_kernels(Arithmetic::fp16)) pocketdet::test_kernels();
    std::puts("ok");
    return 0;
}
