// Each op of the core on values worked out by hand; runs on any target, with or without an emulator.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "check.h"
#include "cpu.h"
#include "detections.h"
#include "mix_pixels.h"
#include "proposals.h"
#include "ps_roi_align.h"
#include "ranking.h"
#include "resize.h"

namespace pocketdet {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

bool same(const Box& a, const Box& b) { return a.x1 == b.x1 && a.y1 == b.y1 && a.x2 == b.x2 && a.y2 == b.y2; }

void test_rank_keys() {
    CHECK(rank_key(2.0f, 9) < rank_key(1.0f, 0));
    CHECK(rank_key(1.0f, 3) < rank_key(1.0f, 4));
    CHECK(rank_key(0.5f, 1) < rank_key(-0.5f, 0));
    CHECK(rank_key(-0.5f, 1) < rank_key(-2.0f, 0));
    CHECK(rank_key(-0.0f, 0) < rank_key(0.0f, 1));
    CHECK(rank_score(rank_key(-3.25f, 7)) == -3.25f && rank_index(rank_key(-3.25f, 7)) == 7);
    CHECK(rank_score(rank_key(1e-38f, 7)) == 1e-38f);
    std::vector<uint64_t> keys{rank_key(1.0f, 0), rank_key(3.0f, 1), rank_key(3.0f, 2), rank_key(2.0f, 3)};
    keep_top(keys, 2);
    CHECK(keys.size() == 2 && rank_index(keys[0]) == 1 && rank_index(keys[1]) == 2);
}

void test_boxes() {
    const float still[4] = {0, 0, 0, 0};
    const float unit[4] = {1, 1, 1, 1};
    const Box reference{10, 20, 30, 60};
    CHECK(same(decode(reference, still, unit), reference));
    const float shifted[4] = {5, -5, 0, 0};
    const float tenth[4] = {0.1f, 0.1f, 0.2f, 0.2f};
    CHECK(same(decode(reference, shifted, tenth), {20, 0, 40, 40}));
    const float huge[4] = {0, 0, 1e30f, kInf};  // a side grows to 62.5 times at most
    CHECK_NEAR(decode(reference, huge, unit).x2 - decode(reference, huge, unit).x1, 1250.0f, 1e-3f);
    CHECK(same(clip({-5, kInf, 500, -kInf}, {100, 200}), {0, 100, 200, 0}));
    const float lost[4] = {kNan, 0, 0, 0};
    CHECK(std::isnan(clip(decode(reference, lost, unit), {100, 200}).x1));
    const Box a[2] = {{0, 0, 10, 10}, {5, 5, 5, 5}};
    const Box b[2] = {{5, 0, 15, 10}, {5, 5, 5, 5}};
    float overlaps[4];
    iou_matrix(a, 2, b, 2, overlaps);
    CHECK(overlaps[0] == 50.0f / 150.0f && overlaps[1] == 0.0f && overlaps[2] == 0.0f && overlaps[3] == 0.0f);
}

void test_anchors() {
    const float sizes[4] = {8, 16, 2, 2};
    Box anchors[4];
    make_anchors({1, 2, 16.0f, sizes, 2}, anchors);
    CHECK(same(anchors[0], {4, 0, 12, 16}) && same(anchors[1], {7, 7, 9, 9}));
    CHECK(same(anchors[2], {20, 0, 28, 16}) && same(anchors[3], {23, 7, 25, 9}));
}

void test_nms() {
    const Box boxes[5] = {{0, 0, 10, 10}, {1, 0, 11, 10}, {20, 0, 30, 10}, {0, 0, 10, 10}, {kNan, 0, 1, 1}};
    const float scores[5] = {0.5f, 0.9f, 0.9f, kInf, 0.7f};
    NmsWorkspace workspace;
    std::vector<int32_t> keep;
    greedy_nms(boxes, scores, 5, 0.5f, 0, workspace, keep);
    CHECK((keep == std::vector<int32_t>{1, 2}));
    greedy_nms(boxes, scores, 5, 0.9f, 0, workspace, keep);
    CHECK((keep == std::vector<int32_t>{1, 2, 0}));
    greedy_nms(boxes, scores, 5, 0.9f, 1, workspace, keep);
    CHECK((keep == std::vector<int32_t>{1}));
    greedy_nms(boxes, scores, 0, 0.5f, 0, workspace, keep);
    CHECK(keep.empty());
}

void test_kept_boxes_across_blocks() {
    KeptBoxes kept;
    for (int i = 0; i < 40; ++i) {
        const Box box{static_cast<float>(20 * i), 0, static_cast<float>(20 * i + 10), 10};
        CHECK(!kept.overlaps(box, area_of(box), 0.5f));
        kept.push(box, area_of(box));
        CHECK(kept.overlaps(box, area_of(box), 0.5f));
    }
    kept.clear();
    const Box first{0, 0, 10, 10};
    CHECK(!kept.overlaps(first, area_of(first), 0.5f));
    kept.push({500, 500, 501, 501}, 1.0f);
    const Box second{20, 0, 30, 10};  // lay in the first block before the clear
    CHECK(!kept.overlaps(second, area_of(second), 0.0f));
}

void test_soft_nms() {
    const Box boxes[3] = {{0, 0, 10, 10}, {0, 5, 10, 15}, {50, 50, 60, 60}};
    const float scores[3] = {0.9f, 0.6f, 0.5f};
    const float third = 50.0f / 150.0f;
    std::vector<Candidate> pool;
    std::vector<Candidate> out;
    soft_nms(boxes, scores, 3, {NmsMethod::linear, 0.3f, 0.5f, 0.1f}, pool, out);
    CHECK(out.size() == 3 && out[0].index == 0 && out[1].index == 2 && out[2].index == 1);
    CHECK(out[2].score == 0.6f * (1.0f - third) && out[1].score == 0.5f);
    soft_nms(boxes, scores, 3, {NmsMethod::gaussian, 0.3f, 0.5f, 0.1f}, pool, out);
    CHECK(out.size() == 3 && out[1].index == 2);
    CHECK_NEAR(out[2].score, 0.6f * std::exp(-(third * third) / 0.5f), 1e-6f);
    soft_nms(boxes, scores, 3, {NmsMethod::linear, 0.3f, 0.5f, 0.45f}, pool, out);
    CHECK(out.size() == 2 && out[1].index == 2);
}

void test_thresholds_are_exclusive() {
    const Box boxes[3] = {{0, 0, 2, 1}, {0, 0, 1, 1}, {9, 9, 10, 10}};  // the first two overlap by exactly 1/2
    const float scores[3] = {0.9f, 0.5f, 0.25f};
    NmsWorkspace workspace;
    std::vector<int32_t> keep;
    greedy_nms(boxes, scores, 3, 0.5f, 0, workspace, keep);
    CHECK((keep == std::vector<int32_t>{0, 1, 2}));
    std::vector<Candidate> pool;
    std::vector<Candidate> out;
    soft_nms(boxes, scores, 3, {NmsMethod::linear, 0.5f, 0.5f, 0.1f}, pool, out);
    CHECK(out.size() == 3 && out[1].score == 0.5f);
    soft_nms(boxes, scores, 3, {NmsMethod::linear, 0.4f, 0.5f, 0.25f}, pool, out);
    CHECK(out.size() == 1);  // the second decays to 0.25, the third starts there
}

void test_propose() {
    const float sizes[2] = {10, 10};
    const AnchorGrid grid{1, 4, 16.0f, sizes, 1};
    // Planes eight floats apart, as a padded tensor has them. Logits: 1, 3, NaN, 3.
    const float scores[16] = {0, 0, 0, 0, 9, 9, 9, 9, 1, 3, kNan, 3, 9, 9, 9, 9};
    float deltas[32] = {};
    deltas[3] = -1.6f;  // dx of the last anchor: by 16 pixels onto its neighbour
    deltas[1] = 1.6f;   // and of the second: onto the third
    ProposalOptions options{{32, 64}, 4, 4, 0.5f, 1.0f};
    ProposalWorkspace workspace;
    std::vector<Proposal> out;
    propose({scores, 8, 2, 1, 4}, {deltas, 8, 4, 1, 4}, grid, options, workspace, out);
    CHECK(out.size() == 2 && out[0].index == 1 && out[1].index == 0);
    CHECK(out[0].logit == 3.0f && out[1].logit == 1.0f);
    CHECK_NEAR(out[0].box.x1, 35.0f, 1e-5f);
    CHECK(same(out[1].box, {3, 3, 13, 13}));
    options.pre_nms_top_n = 2;
    propose({scores, 8, 2, 1, 4}, {deltas, 8, 4, 1, 4}, grid, options, workspace, out);
    CHECK(out.size() == 1 && out[0].index == 1);
    options.min_size = 11.0f;
    propose({scores, 8, 2, 1, 4}, {deltas, 8, 4, 1, 4}, grid, options, workspace, out);
    CHECK(out.empty());
}

void test_ps_roi_align() {
    // Two bins a side, one output channel; channel k holds 10 * k + x, so every bin reads its own channel.
    float features[4 * 16];
    for (int i = 0; i < 64; ++i) features[i] = static_cast<float>(10 * (i / 16) + i % 4);
    const Box rois[4] = {{0, 0, 64, 64}, {kNan, 0, 1, 1}, {-2e30f, 0, -1e30f, 1e30f}, {16, 16, 32, 32}};
    float out[16];
    PsRoiWorkspace workspace;
    ps_roi_align({features, 16, 4, 4, 4}, rois, 4, {16.0f, 2, 2}, workspace, out);
    // The whole map: samples at 0, 1 in the left bins and 2, 3 in the right ones.
    CHECK(out[0] == 0.5f && out[1] == 12.5f && out[2] == 20.5f && out[3] == 32.5f);
    for (int i = 4; i < 12; ++i) CHECK(out[i] == 0.0f);
    // One cell: samples at 0.625, 0.875 and 1.125, 1.375.
    CHECK_NEAR(out[12], 0.75f, 1e-6f);
    CHECK_NEAR(out[13], 11.25f, 1e-6f);
}

void test_detect() {
    const Box rois[3] = {{0, 0, 10, 10}, {0, 0, 10, 10}, {20, 20, 40, 40}};
    const float deltas[12] = {};
    const float logits[9] = {0, 2, 2, 0, 1, 3, kNan, 0, 0};
    DetectOptions options{{1, 1, 1, 1}, {32, 32}, {NmsMethod::hard, 0.5f, 0.5f, 0.05f}, 10};
    DetectWorkspace workspace;
    std::vector<Detection> out;
    detect({logits, 3, deltas, 4, rois, 3, 3}, options, workspace, out);
    CHECK(out.size() == 2);  // one per class: the others coincide, the third RoI is dropped
    CHECK(out[0].label == 1 && out[0].index == 1 && out[1].label == 0 && out[1].index == 0);
    CHECK_NEAR(out[0].score, 0.84379473f, 1e-6f);
    CHECK_NEAR(out[1].score, 0.46831053f, 1e-6f);
    options.per_class = false;
    detect({logits, 3, deltas, 4, rois, 3, 3}, options, workspace, out);
    CHECK(out.size() == 1 && out[0].label == 1 && out[0].index == 1);  // the best of all classes removes the others
    const float ties[9] = {0, 2, 2, 0, 2, 2, 0, 2, 2};
    options.rule.iou_threshold = 1.0f;
    options.max_detections = 3;
    detect({ties, 3, deltas, 4, rois, 3, 3}, options, workspace, out);
    CHECK(out.size() == 3);  // by label, then RoI
    for (int32_t i = 0; i < 3; ++i)
        CHECK(out[static_cast<size_t>(i)].label == 0 && out[static_cast<size_t>(i)].index == i);
    options.per_class = true;
    options.rule.iou_threshold = 0.5f;
    options.max_detections = 1;
    detect({logits, 3, deltas, 4, rois, 3, 3}, options, workspace, out);
    CHECK(out.size() == 1 && out[0].index == 1);
    detect({logits, 1, deltas, 4, rois, 3, 1}, options, workspace, out);
    CHECK(out.empty());  // of the background alone
    detect({logits, 3, deltas, 4, rois, 0, 3}, options, workspace, out);
    CHECK(out.empty());
    CHECK(same(to_original({10, 50, 90, 200}, {100, 200}, {100, 100}, ResizeRule::letterbox), {20, 50, 180, 100}));
    const Box of_corner = to_original({10, 20, 90, 200}, {100, 200}, {100, 100}, ResizeRule::letterbox_top_left);
    CHECK(same(of_corner, {20, 40, 180, 100}));
    CHECK(same(to_original({10, 50, 90, 200}, {50, 200}, {100, 100}, ResizeRule::stretch), {20, 25, 180, 50}));
}

void test_placement() {
    const Placement wide = compute_placement(ResizeRule::letterbox, {480, 640}, {320, 320});
    CHECK(wide.x0 == 0 && wide.y0 == 40 && wide.width == 320 && wide.height == 240);
    const Placement corner = compute_placement(ResizeRule::letterbox_top_left, {480, 640}, {320, 320});
    CHECK(corner.x0 == 0 && corner.y0 == 0 && corner.width == 320 && corner.height == 240);
    const Placement tall = compute_placement(ResizeRule::letterbox, {kMaxImageSide, 1}, {8, 8});
    CHECK(tall.x0 == 3 && tall.y0 == 0 && tall.width == 1 && tall.height == 8);
}

void test_resize() {
    const uint8_t pair[6] = {0, 10, 20, 100, 110, 120};  // two pixels: positions -0.25, 0.25, 0.75, 1.25
    ResizeOptions options{{1, 4}, ResizeRule::stretch, ChannelOrder::rgb, {0, 0, 0}};
    ResizeWorkspace workspace;
    uint8_t bytes[12];
    resize_to_bytes({PixelFormat::rgb, 1, 2, pair, 6, nullptr, 0}, options, workspace, bytes);
    const uint8_t expected[12] = {0, 10, 20, 25, 35, 45, 75, 85, 95, 100, 110, 120};
    CHECK(std::memcmp(bytes, expected, sizeof expected) == 0);

    // Letterbox of BGRA into BGR planes: pad, image, pad.
    const uint8_t pixel[4] = {1, 2, 3, 200};
    options = {{1, 3}, ResizeRule::letterbox, ChannelOrder::bgr, {7, 8, 9}};
    const float mean[3] = {1, 1, 1};
    const float std[3] = {2, 2, 2};
    float planes[9];
    resize_to_planes({PixelFormat::bgra, 1, 1, pixel, 4, nullptr, 0}, options, make_normalise_table(mean, std),
                     workspace, planes, 3);
    const float normalised[9] = {3, 0, 3, 3.5f, 0.5f, 3.5f, 4, 1, 4};
    CHECK(std::memcmp(planes, normalised, sizeof normalised) == 0);
}

template <int kStep>
void check_mixing(const uint8_t (&pixels)[11], int32_t fraction) {
    const int32_t fractions[4] = {fraction, kOne - 1 - fraction, fraction / 2, 0};
    uint16_t shares[8];
    for (size_t i = 0; i < 4; ++i) put_shares(i, fractions[i], shares);
    int32_t mixed[15];
    mix_four<kStep>({pixels, pixels + 1, pixels + 2, pixels + 3}, shares, mixed, 5);
    for (int c = 0; c < 3; ++c) {
        for (int i = 0; i < 4; ++i) {
            const int32_t f = fractions[i];
            CHECK(mixed[5 * c + i] == (kOne - f) * pixels[i + c] + f * pixels[i + kStep + c]);
        }
    }
}

void test_mixing_and_blending() {
    const uint8_t pixels[11] = {0, 255, 7, 255, 0, 254, 128, 1, 31, 255, 0};
    constexpr int32_t kMost = 255 * kOne;
    int32_t top[35];
    int32_t bottom[35];
    for (int32_t i = 0; i < 35; ++i) {
        top[i] = i % 5 == 0 ? kMost : i * 14921 % kMost;
        bottom[i] = i % 3 == 0 ? 0 : (i % 3 == 1 ? kMost : i * 32768 % kMost);
    }
    for (int32_t fraction = 0; fraction < kOne; ++fraction) {
        check_mixing<3>(pixels, fraction);
        check_mixing<4>(pixels, fraction);
        uint8_t blended[35];
        blend(top, bottom, fraction, 35, blended);
        for (int i = 0; i < 35; ++i) {
            const int64_t sum = int64_t{kOne - fraction} * top[i] + int64_t{fraction} * bottom[i];
            CHECK(blended[i] == (sum + (1 << 21)) >> 22);
        }
    }
}

void test_nv21() {
    const Rgb grey = rgb_from_yuv(77, 128, 128);
    CHECK(grey.red == 77 && grey.green == 77 && grey.blue == 77);
    const Rgb red = rgb_from_yuv(76, 85, 255);  // JPEG's pure red
    CHECK(red.red == 254 && red.green == 0 && red.blue == 0);
    const uint8_t luma[4] = {76, 76, 76, 76};
    const uint8_t vu[2] = {255, 85};
    const ResizeOptions options{{1, 1}, ResizeRule::stretch, ChannelOrder::bgr, {0, 0, 0}};
    ResizeWorkspace workspace;
    uint8_t bytes[3];
    resize_to_bytes({PixelFormat::nv21, 2, 2, luma, 2, vu, 2}, options, workspace, bytes);
    CHECK(bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 254);
}

void test_fma_peak() {
    const FmaPeak peak = measure_fma_peak(1);
    CHECK(std::isfinite(peak.gflops) && peak.gflops > 0.0);
    CHECK(!peak.instructions.empty());
}

}  // namespace
}  // namespace pocketdet

int main() {
    pocketdet::test_rank_keys();
    pocketdet::test_boxes();
    pocketdet::test_anchors();
    pocketdet::test_nms();
    pocketdet::test_kept_boxes_across_blocks();
    pocketdet::test_soft_nms();
    pocketdet::test_thresholds_are_exclusive();
    pocketdet::test_propose();
    pocketdet::test_ps_roi_align();
    pocketdet::test_detect();
    pocketdet::test_placement();
    pocketdet::test_resize();
    pocketdet::test_mixing_and_blending();
    pocketdet::test_nv21();
    pocketdet::test_fma_peak();
    std::puts("core_test: 15 tests passed");
    return 0;
}
