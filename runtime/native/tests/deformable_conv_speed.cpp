// deformable_conv_speed [ROUNDS]: how many times as fast as ncnn's our deformable convolution is, on one thread, a
// run of each in turn. Shapes are those of the papers' detectors; emulated processors tell nothing about real ones.
#include <algorithm>
#include <chrono>

#include "deformable_nets.h"

namespace pocketdet {
namespace {

double milliseconds(const DeformableNet& net, const ncnn::Mat& input, const ncnn::Mat& offsets) {
    const auto start = std::chrono::steady_clock::now();
    CHECK(!net.run(input, offsets).empty());
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

void measure(const char* what, const Shape& s, int rounds) {
    const DeformableNet theirs(s, false), ours(s, true);
    Drawn drawn(4);
    const ncnn::Mat input = drawn.maps(s.width, s.height, s.channels, 1.f);
    const ncnn::Mat offsets = drawn.maps(s.width, s.height, 2 * s.taps(), 2.f);
    std::vector<double> slow, fast, ratios;
    for (int i = 0; i < rounds; ++i) {
        slow.push_back(milliseconds(theirs, input, offsets));
        fast.push_back(milliseconds(ours, input, offsets));
        ratios.push_back(slow.back() / fast.back());
    }
    std::printf("%-30s ncnn %9.2f ms   ours %8.2f ms   %6.2f times (%.2f to %.2f)\n", what, median(slow), median(fast),
                median(ratios), *std::min_element(ratios.begin(), ratios.end()),
                *std::max_element(ratios.begin(), ratios.end()));
}

}  // namespace
}  // namespace pocketdet

int main(int count, char** arguments) {
    const int rounds = count > 1 ? std::max(1, std::atoi(arguments[1])) : 21;
    pocketdet::measure("PASSD, 31 classes, 40x40", {256, 40, 40, 36, 3, 3, 1, 1}, rounds);
    pocketdet::measure("PASSD, 80 classes, 20x20", {256, 20, 20, 85, 3, 3, 1, 1}, rounds);
    pocketdet::measure("MimicDet, 3x3 on 40x40", {256, 40, 40, 256, 3, 3, 1, 1}, rounds);
    pocketdet::measure("MimicDet, 5x5 on 20x20", {256, 20, 20, 256, 5, 5, 1, 1}, rounds);
    return 0;
}
