// Ops of the core that have several paths, against plain loops: the same bits on grids of sizes and random boxes. Runs
// on any target, with or without an emulator.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <sys/mman.h>

#include "check.h"
#include "mix_pixels.h"
#include "nms.h"
#include "ps_roi_align.h"
#include "resize.h"

namespace pocketdet {
namespace {

// Interpolation in plain integers: definitions.md "Resize".
int interpolated(const std::vector<uint8_t>& pixels, Size source, Size target, int step, int y, int x, int c) {
    const auto position = [](int i, int s, int t) { return ((2 * i + 1) * s * kOne - t * kOne + t) / (2.0 * t); };
    const int64_t down = static_cast<int64_t>(std::floor(position(y, source.height, target.height)));
    const int64_t right = static_cast<int64_t>(std::floor(position(x, source.width, target.width)));
    const auto at = [&](int64_t row, int64_t column) {
        row = std::clamp<int64_t>(row, 0, source.height - 1);
        column = std::clamp<int64_t>(column, 0, source.width - 1);
        return int64_t{pixels[static_cast<size_t>((row * source.width + column) * step + c)]};
    };
    const auto mixed = [](int64_t a, int64_t b, int64_t fraction) { return (kOne - fraction) * a + fraction * b; };
    const int64_t y0 = down >> kFractionBits, x0 = right >> kFractionBits, part = right & (kOne - 1);
    const int64_t top = mixed(at(y0, x0), at(y0, x0 + 1), part),
                  bottom = mixed(at(y0 + 1, x0), at(y0 + 1, x0 + 1), part);
    return static_cast<int>((mixed(top, bottom, down & (kOne - 1)) + (1 << 21)) >> 22);
}

// `size` bytes that end where a read ends the program.
class GuardedBytes {
public:
    explicit GuardedBytes(size_t size) : mapped_((size + 2 * kPage - 1) / kPage * kPage) {
        void* const start = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(start != MAP_FAILED);
        start_ = static_cast<uint8_t*>(start);
        CHECK(mprotect(start_ + mapped_ - kPage, kPage, PROT_NONE) == 0);
        data_ = start_ + mapped_ - kPage - size;
    }
    ~GuardedBytes() { munmap(start_, mapped_); }
    GuardedBytes(const GuardedBytes&) = delete;
    GuardedBytes& operator=(const GuardedBytes&) = delete;

    uint8_t* data() { return data_; }

private:
    static constexpr size_t kPage = 65536;  // the largest of 64-bit ARM
    size_t mapped_;
    uint8_t *start_, *data_;
};

void test_resized_images() {
    const int widths[][2] = {{640, 320}, {33, 64}, {31, 31}, {200, 17}, {5, 50},
                             {1920, 20}, {11, 7},  {48, 18}, {90, 31}};
    for (const PixelFormat format : {PixelFormat::rgb, PixelFormat::rgba}) {
        for (const auto& [from, to] : widths) {
            const Size source{9, from}, target{6, to};
            const int step = pixel_step(format);
            std::vector<uint8_t> pixels(static_cast<size_t>(source.height * source.width * step));
            for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * i >> 3);
            GuardedBytes guarded(pixels.size());
            std::copy(pixels.begin(), pixels.end(), guarded.data());
            const ImageView image{format, source.height, from, guarded.data(), from * step, nullptr, 0};
            ResizeWorkspace workspace;
            std::vector<uint8_t> bytes(static_cast<size_t>(target.height * to * 3));
            resize_to_bytes(image, {target, ResizeRule::stretch, ChannelOrder::bgr, {0, 0, 0}}, workspace,
                            bytes.data());
            for (int i = 0; i < target.height * to * 3; ++i) {
                const int y = i / 3 / to, x = i / 3 % to;
                CHECK(bytes[static_cast<size_t>(i)] == interpolated(pixels, source, target, step, y, x, 2 - i % 3));
            }
        }
    }
}

// Rows of any width, some of which are too short for vectors; a mean and a deviation whose quotients are computed
// without a division on ARM, and some whose are not.
void test_normalised_rows() {
    const float means[][3] = {{123.675f, 116.28f, 103.53f}, {0, 127.5f, 1e-30f}, {0, 1e30f, -3e38f}};
    const float stds[][3] = {{58.395f, 57.12f, 57.375f}, {1, 255, 1e-38f}, {3e38f, 1e-42f, 1e38f}};
    for (int set = 0; set < 3; ++set) {
        const NormaliseTable table = make_normalise_table(means[set], stds[set]);
#if defined(__aarch64__)
        for (const bool has_products : table.has_products) CHECK(set != 0 || has_products);
#endif
        for (int width = 1; width <= 256; width += width < 40 ? 1 : 27) {
            std::vector<uint8_t> pixels(3 * static_cast<size_t>(width));
            for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(5 * i + 3);
            const ImageView image{PixelFormat::rgb, 1, width, pixels.data(), 3 * width, nullptr, 0};
            const ResizeOptions options{{1, width}, ResizeRule::stretch, ChannelOrder::rgb, {0, 0, 0}};
            ResizeWorkspace workspace;
            std::vector<float> planes(pixels.size());
            resize_to_planes(image, options, table, workspace, planes.data(), width);
            for (size_t i = 0; i < pixels.size(); ++i) {
                const size_t c = i % 3;
                const float expected = (static_cast<float>(pixels[i]) - means[set][c]) / stds[set][c];
                CHECK(std::memcmp(&planes[c * static_cast<size_t>(width) + i / 3], &expected, sizeof expected) == 0);
            }
        }
    }
}

// Coordinates between -margin and side + margin, a third of them multiples of a quarter.
class RandomBoxes {
public:
    explicit RandomBoxes(float side, float margin) : side_(side), margin_(margin) {}

    Box next() { return {coordinate(), coordinate(), coordinate(), coordinate()}; }
    // With its corners in order.
    Box next_ordered() {
        const Box box = next();
        return {std::min(box.x1, box.x2), std::min(box.y1, box.y2), std::max(box.x1, box.x2), std::max(box.y1, box.y2)};
    }

private:
    float coordinate() {
        const float share = static_cast<float>(engine_() % 100003) / 100003.0f;
        const float value = share * (side_ + 2 * margin_) - margin_;
        return engine_() % 3 == 0 ? std::floor(4 * value) / 4 : value;
    }

    std::mt19937 engine_{7};
    float side_, margin_;
};

// Taps of a bin as definitions.md "PSRoI align" has them: sample by sample, without those whose weight is zero.
std::vector<AxisTap> plain_taps(float from, float to, int size, const PsRoiOptions& options, int bin) {
    const float scale = 1.0f / options.stride, samples = static_cast<float>(options.sampling_ratio);
    const float start = from * scale - 0.5f, end = to * scale - 0.5f;
    const float length = (end - start) / static_cast<float>(options.pool_size);
    std::vector<AxisTap> taps;
    const auto add = [&](int32_t position, float weight) {
        if (weight == 0.0f) return;
        const auto known =
            std::find_if(taps.begin(), taps.end(), [&](const AxisTap& tap) { return tap.position == position; });
        if (known != taps.end())
            known->weight += weight;
        else
            taps.push_back({position, weight});
    };
    for (int k = 0; k < options.sampling_ratio; ++k) {
        const float offset = (static_cast<float>(k) + 0.5f) * length / samples;
        const float at = start + static_cast<float>(bin) * length + offset;
        if (!(at >= -1.0f && at <= static_cast<float>(size))) continue;
        const float inside = std::max(at, 0.0f);
        const int32_t low = std::min(static_cast<int32_t>(inside), size - 1);
        const float fraction = low == size - 1 ? 0.0f : inside - static_cast<float>(low);
        add(low, (1.0f - fraction) * (1.0f / samples));
        add(low + 1, fraction * (1.0f / samples));
    }
    return taps;
}

float plain_bin(const float* plane, int width, const std::vector<AxisTap>& rows, const std::vector<AxisTap>& columns) {
    float total = 0.0f;
    for (const AxisTap& row : rows) {
        float sum = 0.0f;
        for (size_t i = 0; i < columns.size(); ++i) {
            const float product = plane[row.position * width + columns[i].position] * columns[i].weight;
            sum = i == 0 ? product : sum + product;
        }
        if (!columns.empty()) total += sum * row.weight;
    }
    return total;
}

void test_pooled_rois() {
    constexpr int kWidth = 13, kHeight = 11, kBins = 3, kAlpha = 5, kRois = 300;
    std::vector<float> features(kAlpha * kBins * kBins * kWidth * kHeight);
    for (size_t i = 0; i < features.size(); ++i) features[i] = static_cast<float>(i * i % 1013) / 501.0f - 1.0f;
    for (size_t i = 0; i < features.size(); i += 89) features[i] = std::numeric_limits<float>::infinity();
    RandomBoxes random(16.0f * kWidth, 40.0f);
    std::vector<Box> rois;
    for (int i = 0; i < kRois; ++i) {
        const float x = static_cast<float>(16 * (i % 7)), y = static_cast<float>(16 * (i % 5));
        // samples on cells, which leave out the next ones and what is infinite there; corners in any order
        rois.push_back(i % 8 == 0 ? Box{x, y, x + 96, y + 96} : i % 4 == 0 ? random.next() : random.next_ordered());
    }
    for (int samples = 1; samples <= 3; ++samples) {
        const PsRoiOptions options{16.0f, kBins, samples};
        PsRoiWorkspace workspace;
        std::vector<float> out(static_cast<size_t>(kRois * kAlpha * kBins * kBins));
        ps_roi_align({features.data(), kWidth * kHeight, kAlpha * kBins * kBins, kHeight, kWidth}, rois.data(), kRois,
                     options, workspace, out.data());
        for (size_t r = 0; r < kRois; ++r) {
            for (int channel = 0; channel < kAlpha * kBins * kBins; ++channel) {
                const int bin = channel % (kBins * kBins);
                const float expected = plain_bin(&features[static_cast<size_t>(channel * kWidth * kHeight)], kWidth,
                                                 plain_taps(rois[r].y1, rois[r].y2, kHeight, options, bin / kBins),
                                                 plain_taps(rois[r].x1, rois[r].x2, kWidth, options, bin % kBins));
                const float pooled = out[r * kAlpha * kBins * kBins + static_cast<size_t>(channel)];
                CHECK(pooled == expected || (std::isnan(pooled) && std::isnan(expected)));
            }
        }
    }
}

// At, just below and just above each box's own IoU, where a comparison without a division could differ.
void test_kept_boxes_at_thresholds() {
    for (const float scale : {1.0f, 1e-9f, 1e9f}) {
        RandomBoxes random(60.0f, 0.0f);
        for (int i = 0; i < 20000; ++i) {
            const Box a = random.next_ordered(), b = random.next_ordered();
            const Box kept{a.x1 * scale, a.y1 * scale, a.x2 * scale, a.y2 * scale};
            const Box box{b.x1 * scale, b.y1 * scale, b.x2 * scale, b.y2 * scale};
            KeptBoxes boxes;
            boxes.push(kept, area_of(kept));
            const float exact = iou(kept, area_of(kept), box, area_of(box));
            const float above = std::nextafter(exact, 2.0f), below = std::nextafter(exact, 0.0f);
            for (const float threshold : {exact, above, below, 0.0f, 0.5f, 0.7f, 1.0f}) {
                CHECK(boxes.overlaps(box, area_of(box), threshold) == (exact > threshold));
            }
        }
    }
    KeptBoxes boxes;  // whose union has no value, or is not positive
    const float most = std::numeric_limits<float>::max();
    for (const Box& box : {Box{-most, -most, most, most}, Box{0, 0, -8, 8}, Box{4, 4, 4, 4}}) {
        boxes.push(box, area_of(box));
        CHECK(!boxes.overlaps({0, 0, 8, 8}, 64.0f, 0.5f));
        CHECK(!boxes.overlaps(box, area_of(box), 0.5f));
    }
}

}  // namespace
}  // namespace pocketdet

int main() {
    pocketdet::test_resized_images();
    pocketdet::test_normalised_rows();
    pocketdet::test_pooled_rois();
    pocketdet::test_kept_boxes_at_thresholds();
    std::puts("core_grid_test: 4 tests passed");
    return 0;
}
