// Our deformable convolution against ncnn's, on any target.
#include <limits>

#include "deformable_nets.h"

namespace pocketdet {
namespace {

void test_same_as_ncnn(const Shape& s, float spread) {
    const DeformableNet theirs(s, false), ours(s, true);
    CHECK(theirs.type() == "DeformableConv2D" && ours.type() == "PocketdetDeformableConv2D");
    const int height = s.places(s.height, s.kernel_h), width = s.places(s.width, s.kernel_w);
    for (unsigned seed : {2u, 3u}) {
        Drawn drawn(seed);
        const ncnn::Mat input = drawn.maps(s.width, s.height, s.channels, 1.f);
        ncnn::Mat offsets = drawn.maps(width, height, 2 * s.taps(), spread);
        offsets.channel(0)[0] = -static_cast<float>(s.height) - 7.f;  // far outside
        offsets.channel(1)[width * height - 1] = 1e30f;
        const ncnn::Mat expected = theirs.run(input, offsets), found = ours.run(input, offsets);
        CHECK(found.w == width && found.h == height && found.c == s.outputs && expected.c == s.outputs);
        for (int c = 0; c < found.c; ++c) {
            for (int i = 0; i < width * height; ++i) {
                CHECK_NEAR(found.channel(c)[i], expected.channel(c)[i], 1e-5 * (s.channels * s.taps() + 8));
            }
        }
    }
}

void test_no_place_is_nothing() {
    const Shape s{4, 5, 6, 3, 1, 1, 1, 1, false};
    Drawn drawn(5);
    const ncnn::Mat input = drawn.maps(6, 5, 4, 1.f);
    ncnn::Mat offsets = drawn.maps(6, 5, 2, 0.f);
    offsets.channel(0)[7] = std::numeric_limits<float>::quiet_NaN();
    offsets.channel(1)[8] = -std::numeric_limits<float>::infinity();
    const ncnn::Mat found = DeformableNet(s, true).run(input, offsets);
    for (int c = 0; c < 3; ++c) CHECK(found.channel(c)[7] == 0.f && found.channel(c)[8] == 0.f);
    CHECK(found.channel(0)[9] != 0.f);
}

void test_wrong_inputs_are_refused() {
    const Shape s{4, 5, 6, 3, 3, 3, 1, 1};
    const DeformableNet net(s, true);
    Drawn drawn(6);
    const ncnn::Mat input = drawn.maps(6, 5, 4, 1.f), offsets = drawn.maps(6, 5, 18, 1.f);
    CHECK(!net.run(input, offsets).empty());
    CHECK(net.run(drawn.maps(6, 5, 8, 1.f), offsets).empty());
    CHECK(net.run(drawn.maps(5, 5, 4, 1.f), offsets).empty());
    CHECK(net.run(input, drawn.maps(6, 5, 16, 1.f)).empty());
}

void test_other_layers_stay() {
    const std::string head = "7767517\n2 2\nInput a 0 1 in0\n";
    for (const char* line :
         {"DeformableConv2D d 3 1 in0 in1 in2 out0 0=4 1=3\n", "DeformableConv2D d 2 1 in0 in1 out0 0=4 1=3 9=1\n",
          "ReLU DeformableConv2D 1 1 in0 out0\n"}) {
        ncnn::Net net;
        CHECK(with_types(net, head + line, {own_deformable_convolution()}) == head + line);
    }
}

}  // namespace
}  // namespace pocketdet

int main() {
    using namespace pocketdet;
    const Shape shapes[] = {
        {1, 1, 1, 1, 1, 1, 1, 1},     {3, 4, 5, 2, 3, 3, 1, 1, false}, {16, 9, 13, 8, 3, 3, 1, 1},
        {7, 12, 8, 36, 5, 5, 1, 1},   {32, 10, 10, 13, 3, 5, 2, 1},    {8, 20, 11, 12, 3, 3, 1, 2, false},
        {64, 17, 19, 64, 3, 3, 1, 1},
    };
    for (const Shape& shape : shapes) {
        for (float spread : {0.f, 0.4f, 6.f}) test_same_as_ncnn(shape, spread);
    }
    test_no_place_is_nothing();
    test_wrong_inputs_are_refused();
    test_other_layers_stay();
    std::puts("ok");
    return 0;
}
