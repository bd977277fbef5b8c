// The mean of n x n bilinear samples is a weighted sum over rows and columns. Its weights are products of one weight
// per axis and are the same for all channels of a bin, so they are computed once per RoI, axis and bin. The outer loop
// runs over the bins; the alpha channels of a bin are interleaved as SIMD lanes in a buffer that fits the L1 cache,
// from which all RoIs read.
#include "ps_roi_align.h"

#include <algorithm>
#include <cstring>

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace pocketdet {

namespace {

constexpr int kLanes = 8;

struct BinTaps {
    AxisTap* taps;
    int32_t count = 0;

    void add(int32_t position, float weight) {
        if (weight == 0.0f) return;
        for (int32_t i = 0; i < count; ++i) {
            if (taps[i].position == position) {
                taps[i].weight += weight;
                return;
            }
        }
        taps[count++] = {position, weight};
    }

    void add_sample(float coordinate, int size, float share) {
        const float limit = static_cast<float>(size);
        if (!(coordinate >= -1.0f && coordinate <= limit)) return;  // NaN too
        const float inside = coordinate > 0.0f ? coordinate : 0.0f;
        const int32_t low = static_cast<int32_t>(inside);
        if (low >= size - 1) {
            add(size - 1, share);
            return;
        }
        const float fraction = inside - static_cast<float>(low);
        add(low, (1.0f - fraction) * share);
        add(low + 1, fraction * share);
    }
};

// The taps of a bin of two samples, if both lie between two cells and the second not before the first: the same as of
// BinTaps, without branches, which would be hard to predict. Otherwise returns 0.
int32_t place_two(float first, float second, int size, float share, AxisTap* taps) {
    if (!(first > 0.0f && second >= first && second < static_cast<float>(size - 1))) return 0;
    const int32_t low = static_cast<int32_t>(first), next_low = static_cast<int32_t>(second);
    const float fraction = first - static_cast<float>(low), next_fraction = second - static_cast<float>(next_low);
    const float high_weight = fraction * share, next_high_weight = next_fraction * share;
    if (high_weight == 0.0f || next_high_weight == 0.0f) return 0;
    taps[0] = {low, (1.0f - fraction) * share};
    taps[1] = {low + 1, high_weight};
    taps[2] = taps[3] = {0, 0.0f};
    const int32_t apart = std::min(next_low - low, 2);
    taps[apart] = {next_low, taps[apart].weight + (1.0f - next_fraction) * share};
    taps[apart + 1] = {next_low + 1, taps[apart + 1].weight + next_high_weight};
    return apart + 2;
}

// Places the taps of RoIs on one axis whose map has `size` cells.
class TapPlacer {
public:
    // offsets: of the samples of a bin from its start, written for each RoI.
    TapPlacer(int size, const PsRoiOptions& options, std::vector<float>& offsets)
        : size_(size),
          bins_(options.pool_size),
          scale_(1.0f / options.stride),
          samples_(static_cast<float>(options.sampling_ratio)),
          share_(1.0f / samples_),
          offsets_(offsets) {
        offsets_.resize(static_cast<size_t>(options.sampling_ratio));
    }

    // Of all bins of an RoI.
    void place(float from, float to, AxisTap* taps, int32_t* counts) {
        const float start = from * scale_ - 0.5f;
        const float end = to * scale_ - 0.5f;
        const float bin = (end - start) / static_cast<float>(bins_);
        for (size_t k = 0; k < offsets_.size(); ++k) offsets_[k] = (static_cast<float>(k) + 0.5f) * bin / samples_;
        for (int j = 0; j < bins_; ++j, taps += 2 * offsets_.size()) {
            counts[j] = place_bin(start + static_cast<float>(j) * bin, taps);
        }
    }

private:
    int32_t place_bin(float start, AxisTap* taps) const {
        if (offsets_.size() == 2) {
            const int32_t count = place_two(start + offsets_[0], start + offsets_[1], size_, share_, taps);
            if (count != 0) return count;
        }
        BinTaps bin_taps{taps};
        for (const float offset : offsets_) bin_taps.add_sample(start + offset, size_, share_);
        return bin_taps.count;
    }

    int size_, bins_;
    float scale_, samples_, share_;
    std::vector<float>& offsets_;
};

void place_all_taps(const FeatureMap& features, const Box* rois, size_t count, const PsRoiOptions& options,
                    PsRoiWorkspace& workspace) {
    const size_t bins = static_cast<size_t>(options.pool_size);
    const size_t taps_per_roi = bins * 2 * static_cast<size_t>(options.sampling_ratio);
    workspace.x_taps.resize(count * taps_per_roi);
    workspace.y_taps.resize(count * taps_per_roi);
    workspace.x_counts.assign(count * bins, 0);
    workspace.y_counts.assign(count * bins, 0);
    TapPlacer columns(features.width, options, workspace.offsets), rows(features.height, options, workspace.offsets);
    for (size_t r = 0; r < count; ++r) {
        const Box& roi = rois[r];
        if (!is_finite(roi)) continue;  // no taps: zeros
        columns.place(roi.x1, roi.x2, &workspace.x_taps[r * taps_per_roi], &workspace.x_counts[r * bins]);
        rows.place(roi.y1, roi.y2, &workspace.y_taps[r * taps_per_roi], &workspace.y_counts[r * bins]);
    }
}

// Four floats that the compiler keeps in one register.
typedef float Four __attribute__((vector_size(16)));
constexpr int kFours = kLanes / 4;

#if defined(__aarch64__)
// The first cells of four channels, as far as they fill vectors. Returns their number.
int interleave_four(const float* const (&planes)[4], int cells, float* target) {
    int cell = 0;
    for (; cell + 4 <= cells; cell += 4) {
        const float32x4_t a = vld1q_f32(planes[0] + cell), b = vld1q_f32(planes[1] + cell);
        const float32x4_t c = vld1q_f32(planes[2] + cell), d = vld1q_f32(planes[3] + cell);
        const float32x4_t even = vzip1q_f32(a, c), odd = vzip1q_f32(b, d);
        const float32x4_t even_high = vzip2q_f32(a, c), odd_high = vzip2q_f32(b, d);
        float* const to = target + cell * kLanes;
        vst1q_f32(to, vzip1q_f32(even, odd));
        vst1q_f32(to + kLanes, vzip2q_f32(even, odd));
        vst1q_f32(to + 2 * kLanes, vzip1q_f32(even_high, odd_high));
        vst1q_f32(to + 3 * kLanes, vzip2q_f32(even_high, odd_high));
    }
    return cell;
}
#else
int interleave_four(const float* const (&)[4], int, float*) { return 0; }
#endif

// lanes[cell * kLanes + lane] = channel (first + lane * step), for `used` lanes.
void interleave(const FeatureMap& features, int first, int step, int used, std::vector<float>& lanes) {
    const auto plane = [&](int lane) { return features.plane(first + lane * step); };
    int done = 0;
    for (int lane = 0; lane < used; ++lane) {
        if (lane % 4 == 0) {
            done = lane + 4 > used ? 0
                                   : interleave_four({plane(lane), plane(lane + 1), plane(lane + 2), plane(lane + 3)},
                                                     features.plane_size(), lanes.data() + lane);
        }
        const float* const from = plane(lane);
        float* const target = lanes.data() + lane;
        for (int cell = done; cell < features.plane_size(); ++cell) target[cell * kLanes] = from[cell];
    }
}

struct Cell {
    Four parts[kFours];
};

Cell scaled(const float* lanes, float weight) {
    Cell cell;
    for (int i = 0; i < kFours; ++i) {
        std::memcpy(&cell.parts[i], lanes + 4 * i, sizeof(Four));
        cell.parts[i] *= weight;
    }
    return cell;
}

void add(Cell& sum, const Cell& cell) {
    for (int i = 0; i < kFours; ++i) sum.parts[i] += cell.parts[i];
}

// The sum of the cells of a row that a bin reads. `count` is kAny where it is not known when this is compiled;
// otherwise all loads come before the first addition, since a processor that executes in order would wait for each.
constexpr int kAny = 0;

template <int count>
Cell sum_row(const float* row, const AxisTap* taps, int32_t actual) {
    constexpr int kAhead = count == kAny ? 1 : count;
    Cell cells[kAhead];
    for (int i = 0; i < kAhead; ++i) cells[i] = scaled(row + taps[i].position * kLanes, taps[i].weight);
    Cell sum = cells[0];
    for (int i = 1; i < kAhead; ++i) add(sum, cells[i]);
    for (int32_t i = kAhead; count == kAny && i < actual; ++i) {
        add(sum, scaled(row + taps[i].position * kLanes, taps[i].weight));
    }
    return sum;
}

struct Taps {
    const AxisTap* taps;
    int32_t count;
};

// One bin of one RoI, for all lanes, with at least one tap on each axis.
template <int count>
void pool(const float* lanes, int width, Taps rows, Taps columns, float* sums) {
    Cell total{};
    for (int32_t y = 0; y < rows.count; ++y) {
        Cell sum = sum_row<count>(lanes + rows.taps[y].position * width * kLanes, columns.taps, columns.count);
        for (Four& part : sum.parts) part *= rows.taps[y].weight;
        add(total, sum);
    }
    std::memcpy(sums, total.parts, sizeof total.parts);
}

void pool_any(const float* lanes, int width, Taps rows, Taps columns, float* sums) {
    if (rows.count == 0 || columns.count == 0) {
        for (int lane = 0; lane < kLanes; ++lane) sums[lane] = 0.0f;
        return;
    }
    switch (columns.count) {  // two samples a bin read two to four cells
        case 2:
            return pool<2>(lanes, width, rows, columns, sums);
        case 3:
            return pool<3>(lanes, width, rows, columns, sums);
        case 4:
            return pool<4>(lanes, width, rows, columns, sums);
        default:
            return pool<kAny>(lanes, width, rows, columns, sums);
    }
}

}  // namespace

void ps_roi_align(const FeatureMap& features, const Box* rois, size_t count, const PsRoiOptions& options,
                  PsRoiWorkspace& workspace, float* out) {
    const int p = options.pool_size;
    const int alpha = features.channels / (p * p);
    const size_t taps = 2 * static_cast<size_t>(options.sampling_ratio);
    place_all_taps(features, rois, count, options, workspace);
    workspace.lanes.assign(static_cast<size_t>(features.plane_size()) * kLanes, 0.0f);
    for (int bin = 0; bin < p * p; ++bin) {
        for (int c = 0; c < alpha; c += kLanes) {
            const int used = alpha - c < kLanes ? alpha - c : kLanes;
            const int first = c * p * p + bin;
            interleave(features, first, p * p, used, workspace.lanes);
            for (size_t r = 0; r < count; ++r) {
                const size_t y_bin = r * static_cast<size_t>(p) + static_cast<size_t>(bin / p);
                const size_t x_bin = r * static_cast<size_t>(p) + static_cast<size_t>(bin % p);
                float sums[kLanes];
                const Taps rows{&workspace.y_taps[y_bin * taps], workspace.y_counts[y_bin]};
                const Taps columns{&workspace.x_taps[x_bin * taps], workspace.x_counts[x_bin]};
                pool_any(workspace.lanes.data(), features.width, rows, columns, sums);
                float* row = out + r * static_cast<size_t>(features.channels) + first;
                for (int lane = 0; lane < used; ++lane) row[lane * p * p] = sums[lane];
            }
        }
    }
}

}  // namespace pocketdet
