// What a graph may cost: sizes, depth, memory, weights and work. Needs no ncnn.
#include "graph_fixtures.h"

namespace pocketdet::graph {
namespace {

void test_limits() {
    const auto limited = [](int64_t Limits::* limit, int64_t value, const char* message) {
        Limits limits;
        limits.*limit = value;
        refuse([&limits] { check(kBase, kInput, limits); }, message);
    };
    limited(&Limits::layers, 13, "m.param: 14 layers and 16 blobs, allowed are 1..13 and 1..40000");
    limited(&Limits::blobs, 15, "14 layers and 16 blobs, allowed are 1..20000 and 1..15");
    limited(&Limits::depth, 5, "Concat 'cat': is 6 layers away from an input, allowed are 5");
    limited(&Limits::elements_per_blob, 500,
            "Input 'in0': the blob 'in0' of shape (3, 16, 16) makes the graph larger than "
            "allowed: 768 elements, allowed are 500");
    limited(&Limits::elements_in_all, 1300, "elements in all, allowed are 1300");
    limited(&Limits::memory_bytes, 5000, "Convolution 'conv': at this layer blobs and workspace need");
    limited(&Limits::macs, 20'000, "multiply-accumulates are more than the 20000 allowed");
    check(chain(1998, "ReLU"));
    refuse([] { check(chain(2000, "ReLU")); }, "ReLU 'l1999': is 2001 layers away from an input, allowed are 2000");
    const NamedShapes large{{"in0", {64, 1024, 1024}}};
    refuse([&] { check(chain(16, "ReLU"), large); }, "makes the graph larger than allowed");
    refuse([&] { check(chain(3, "ReLU"), {{"in0", {65, 1024, 1024}}}); }, "68157440 elements, allowed are 67108864");
    check(chain(3, "ReLU"), large);  // two blobs at a time
    refuse([] { check(kBase, {{"in0", {3, 1 << 14, 1 << 14}}}); }, "which is empty or too large");
    refuse([] { check(kBase, {{"in0", {3, 0, 16}}}); }, "which is empty or too large");
}

// Big blobs that file order would release one by one and ncnn's order, from the output back, keeps.
void test_memory_in_the_order_of_ncnn() {
    std::string text = "7767517\n";
    std::string layers = "Input i 0 1 in0\nSplit s 1 8 in0 s0 s1 s2 s3 s4 s5 s6 s7\n";
    for (int i = 0; i < 8; ++i) {
        const std::string n = std::to_string(i);
        layers += "ReLU big" + n + " 1 1 s" + n + " r" + n + "\n";
        layers += i == 0 ? "ReLU sum0 1 1 r0 a0\n"
                         : "BinaryOp sum" + n + " 2 1 r" + n + " a" + std::to_string(i - 1) +
                               (i == 7 ? " out0\n" : " a" + n + "\n");
    }
    text += "18 25\n" + layers;
    const NamedShapes input{{"in0", {1, 1024, 1024}}};
    CHECK(check(text, input).peak_bytes > int64_t{8} * 4 * 1024 * 1024);
    Limits limits;
    limits.memory_bytes = int64_t{8} * 4 * 1024 * 1024;
    refuse([&] { check(text, input, limits); }, "bytes at one time, allowed are 33554432");
}

// Work in calls and in plain loops.
void test_work_beyond_products() {
    const std::string many = "multiply-accumulates are more than the 500000000000 allowed";
    const std::string deconvolution =
        single("DeconvolutionDepthWise d 1 1 in0 out0 0=3 1=1 11=16384 13=16384 6=49152 7=3");
    refuse([&] { check(deconvolution, {{"in0", {3, 32, 32}}}); }, many.c_str());
    check(single("DeconvolutionDepthWise d 1 1 in0 out0 0=3 1=4 3=2 6=48 7=3"), {{"in0", {3, 512, 512}}});
    const std::string product = "7767517\n3 3\nInput i 0 1 in0\nInput j 0 1 in1\nMatMul m 2 1 in0 in1 out0\n";
    const auto batched = [&](int64_t count) { check(product, {{"in0", {count, 1, 1}}, {"in1", {count, 1, 1}}}); };
    batched(1 << 20);
    refuse([&] { batched(11'000'000); }, many.c_str());
    check(product, {{"in0", {3}}, {"in1", {3}}});
    const auto attention = [](int count) {
        const std::string n = std::to_string(count);
        return single("MultiHeadAttention a 1 1 in0 out0 0=" + n + " 1=" + n + " 2=" + n + " 3=1 4=1");
    };
    Limits limits;
    limits.macs = 1'000'000'000;
    refuse([&] { check(attention(10'000), {{"in0", {1, 1}}}, limits); }, "multiply-accumulates are more than");
}

// ncnn aligns channels to 16 bytes and pads inputs.
void test_allocated_memory() {
    CHECK(allocated_elements({3, 1, 1}) == 12 && allocated_elements({3, 2, 1, 3}) == 24);
    CHECK(allocated_elements({3}) == 3 && allocated_elements({3, 5}) == 15);
    const auto peak = [](const std::string& line, const Shape& shape) {
        return check(single(line), {{"in0", shape}}).peak_bytes;
    };
    CHECK(peak("ReLU r 1 1 in0 out0", {100, 1, 1}) == 2 * 16 * 100);
    CHECK(peak("LRN l 1 1 in0 out0 0=1 1=3", {1, 2, 2}) == 4 * (2 * 4 + 4 + 16 + 9));
    CHECK(peak("LRN l 1 1 in0 out0 0=0 1=3", {1, 2, 2}) == 4 * (2 * 4 + 2 * 4));
    // 2 windows of 2 pixels, 16 apart
    CHECK(peak("Pooling p 1 1 in0 out0 1=2 2=16", {1, 4, 4}) == 4 * (16 + 4 + 18 * 18));
    refuse([&] { peak("Pooling p 1 1 in0 out0 1=1 2=16384", {2, 16384, 2}); }, "which is empty or too large");
    refuse([&] { peak("LRN l 1 1 in0 out0 0=1 1=1023", {1024, 1, 1}); }, "bytes at one time, allowed are 1073741824");
}

// A byte of the file may become 4 + 256/9 in memory.
void test_weight_memory() {
    const auto limited = [](const std::string& text, const Shape& shape, int64_t bytes) {
        Limits limits;
        limits.weight_bytes = bytes;
        check(text, {{"in0", shape}}, limits);
    };
    const auto needs = [&](const std::string& line, const Shape& shape, int64_t bytes) {
        limited(single(line), shape, bytes);
        const std::string message = "up to here, the weights may need " + std::to_string(bytes) +
                                    " bytes once loaded, allowed are " + std::to_string(bytes - 1);
        refuse([&] { limited(single(line), shape, bytes - 1); }, message.c_str());
    };
    needs("InnerProduct p 1 1 in0 out0 0=4 1=1 2=20", {5}, 2 * 4 * 24);
    needs("Convolution c 1 1 in0 out0 0=32 1=3 6=9216", {32, 3, 3}, 4 * (9216 + 64 * 32 * 32));
    needs("Convolution c 1 1 in0 out0 0=32 1=3 3=2 6=9216", {32, 3, 3}, 2 * 4 * 9216);
    needs("Convolution c 1 1 in0 out0 0=1 1=1 6=32", {32, 3, 3}, 4 * (32 + 16 * 32));
    needs("ConvolutionDepthWise c 1 1 in0 out0 0=32 1=3 6=4608 7=2", {32, 3, 3},
          4 * (4608 + 2 * 64 * 16 * 16) + 2 * 3072);
}

// Cheap in multiply-accumulates, dear in time.
void test_other_work() {
    const std::string pool = "7767517\n2 2\nInput i 0 1 in0\nPooling p 1 1 in0 out0 1=2047 3=1023\n";
    refuse([&] { check(pool, {{"in0", {1, 2048, 2048}}}); },
           "multiply-accumulates are more than the 500000000000 allowed");
    const std::string norm = "7767517\n2 2\nInput i 0 1 in0\nLRN p 1 1 in0 out0 0=1 1=1023\n";
    refuse([&] { check(norm, {{"in0", {1, 1024, 1024}}}); }, "multiply-accumulates are more than");
    std::string readers = "7767517\n1025 2049\nInput i 0 1 in0\nSplit s 1 1023 in0";
    std::string layers;
    for (int i = 0; i < 1023; ++i) {
        const std::string n = std::to_string(i);
        readers += " s" + n;
        layers += "Reduction r" + n + " 1 1 s" + n + " " + (i == 0 ? "out0" : "o" + n) + "\n";
    }
    readers = replaced(readers, {"2049", "2047", ""}) + "\n" + layers;
    refuse([&] { check(readers, {{"in0", {60, 1024, 1024}}}); }, "multiply-accumulates are more than");
}

}  // namespace
}  // namespace pocketdet::graph

int main() {
    using namespace pocketdet::graph;
    test_limits();
    test_memory_in_the_order_of_ncnn();
    test_work_beyond_products();
    test_allocated_memory();
    test_weight_memory();
    test_other_work();
    std::puts("graph_limits_test: all hold");
    return 0;
}
