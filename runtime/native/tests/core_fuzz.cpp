// Random calls of every op, full of NaN, infinities, huge and degenerate values; meant for the sanitizers
// (POCKETDET_SANITIZE=ON). Buffers are exactly as large as promised, so that any step outside is seen.
// Usage: core_fuzz [rounds] [seed]
#include "detections.h"
#include "fuzz.h"
#include "proposals.h"
#include "ps_roi_align.h"
#include "resize.h"

namespace pocketdet {
namespace {

// Kept from call to call, so that stale contents are part of the test.
struct Workspaces {
    ResizeWorkspace resize;
    NmsWorkspace nms;
    ProposalWorkspace proposals;
    PsRoiWorkspace ps_roi;
    DetectWorkspace detect;
};

void fuzz_resize(Fuzz& fuzz, Workspaces& workspaces) {
    const int height = fuzz.integer(1, 9);
    const int width = fuzz.integer(1, 9);
    const auto format = static_cast<PixelFormat>(fuzz.integer(0, 4));
    const int stride = width * pixel_step(format);
    const int chroma_stride = (width + 1) / 2 * 2;
    const auto pixels = fuzz.bytes(static_cast<size_t>(height * stride));
    const auto chroma = fuzz.bytes(static_cast<size_t>((height + 1) / 2 * chroma_stride));
    const ImageView image{format, height, width, pixels.get(), stride, chroma.get(), chroma_stride};
    const ResizeOptions options{{fuzz.integer(1, 20), fuzz.integer(1, 20)},
                                static_cast<ResizeRule>(fuzz.integer(0, 1)),
                                static_cast<ChannelOrder>(fuzz.integer(0, 1)),
                                {1, 2, 3}};
    const int area = options.target.height * options.target.width;
    const auto out = fuzz.bytes(static_cast<size_t>(3 * area));
    const auto planes = fuzz.numbers(static_cast<size_t>(3 * area));
    const float zero[3] = {0, 0, 0};
    const float one[3] = {1, 1, 1};
    resize_to_bytes(image, options, workspaces.resize, out.get());
    resize_to_planes(image, options, make_normalise_table(zero, one), workspaces.resize, planes.get(), area);
    for (size_t i = 0; i < static_cast<size_t>(3 * area); ++i) {
        CHECK(planes[i % 3 * static_cast<size_t>(area) + i / 3] == out[i]);
    }
}

void fuzz_nms(Fuzz& fuzz, Workspaces& workspaces) {
    const size_t count = static_cast<size_t>(fuzz.integer(0, 60));
    const auto boxes = fuzz.boxes(count);
    const auto scores = fuzz.numbers(count);
    const float threshold = static_cast<float>(fuzz.integer(0, 10)) / 10.0f;
    std::vector<int32_t> keep;
    const size_t max_keep = static_cast<size_t>(fuzz.integer(0, 5));
    greedy_nms(boxes.get(), scores.get(), count, threshold, max_keep, workspaces.nms, keep);
    for (size_t i = 1; i < keep.size(); ++i) {
        CHECK(scores[static_cast<size_t>(keep[i - 1])] >= scores[static_cast<size_t>(keep[i])]);
    }
    std::vector<Candidate> pool;
    std::vector<Candidate> survivors;
    const NmsRule rule{static_cast<NmsMethod>(fuzz.integer(0, 2)), threshold, 0.5f, 0.01f};
    soft_nms(boxes.get(), scores.get(), count, rule, pool, survivors);
    for (const Candidate& survivor : survivors) CHECK(survivor.score > rule.score_threshold);
    const auto overlaps = fuzz.numbers(count * count);
    iou_matrix(boxes.get(), count, boxes.get(), count, overlaps.get());
    for (size_t i = 0; i < count * count; ++i) CHECK(!std::isnan(overlaps[i]));
}

void fuzz_propose(Fuzz& fuzz, Workspaces& workspaces) {
    const int height = fuzz.integer(1, 4);
    const int width = fuzz.integer(1, 4);
    const int size_count = fuzz.integer(1, 3);
    const int plane = height * width + fuzz.integer(0, 3);
    const auto scores = fuzz.numbers(static_cast<size_t>(2 * size_count * plane));
    const auto deltas = fuzz.numbers(static_cast<size_t>(4 * size_count * plane));
    const auto sizes = fuzz.numbers(static_cast<size_t>(2 * size_count));
    const ProposalOptions options{
        {64, 64}, static_cast<size_t>(fuzz.integer(1, 60)), static_cast<size_t>(fuzz.integer(1, 20)), 0.7f, 0.0f};
    std::vector<Proposal> proposals;
    propose({scores.get(), plane, 2 * size_count, height, width}, {deltas.get(), plane, 4 * size_count, height, width},
            {height, width, 16.0f, sizes.get(), size_count}, options, workspaces.proposals, proposals);
    CHECK(proposals.size() <= options.post_nms_top_n);
    for (const Proposal& proposal : proposals) CHECK(is_finite(proposal.box) && std::isfinite(proposal.logit));
}

void fuzz_ps_roi_align(Fuzz& fuzz, Workspaces& workspaces) {
    const int height = fuzz.integer(1, 6);
    const int width = fuzz.integer(1, 6);
    const PsRoiOptions options{16.0f, fuzz.integer(1, 3), fuzz.integer(1, 3)};
    const int channels = fuzz.integer(1, 10) * options.pool_size * options.pool_size;
    const size_t count = static_cast<size_t>(fuzz.integer(0, 8));
    const size_t cells = static_cast<size_t>(channels * height * width);
    const auto rois = fuzz.boxes(count);
    std::unique_ptr<float[]> features(new float[cells]);
    for (size_t i = 0; i < cells; ++i) features[i] = 1.0f;
    const auto out = fuzz.numbers(count * static_cast<size_t>(channels));
    ps_roi_align({features.get(), height * width, channels, height, width}, rois.get(), count, options,
                 workspaces.ps_roi, out.get());
    for (size_t i = 0; i < count * static_cast<size_t>(channels); ++i) CHECK(out[i] >= 0.0f && out[i] <= 1.0001f);
}

void fuzz_detect(Fuzz& fuzz, Workspaces& workspaces) {
    const size_t count = static_cast<size_t>(fuzz.integer(0, 20));
    const size_t classes = static_cast<size_t>(fuzz.integer(2, 6));
    const auto columns = static_cast<std::ptrdiff_t>(classes) + 4;  // one matrix holds logits and deltas
    const auto head = fuzz.numbers(count * (classes + 4));
    const auto rois = fuzz.boxes(count);
    const DetectOptions options{{0.1f, 0.1f, 0.2f, 0.2f},
                                {64, 64},
                                {static_cast<NmsMethod>(fuzz.integer(0, 2)), 0.5f, 0.5f, 0.01f},
                                static_cast<size_t>(fuzz.integer(1, 30)),
                                fuzz.integer(0, 1) == 0};
    std::vector<Detection> detections;
    detect({head.get(), columns, head.get() + classes, columns, rois.get(), count, classes}, options, workspaces.detect,
           detections);
    CHECK(detections.size() <= options.max_detections);
    for (size_t i = 0; i < detections.size(); ++i) {
        CHECK(i == 0 || detections[i - 1].score >= detections[i].score);
        const Box box = to_original(detections[i].box, {480, 640}, options.image, ResizeRule::letterbox);
        CHECK(box.x1 >= 0 && box.y1 >= 0 && box.x2 <= 640 && box.y2 <= 480);
    }
}

}  // namespace
}  // namespace pocketdet

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 1000;
    const unsigned seed = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
    pocketdet::Fuzz fuzz(seed);
    pocketdet::Workspaces workspaces;
    for (int round = 0; round < rounds; ++round) {
        pocketdet::fuzz_resize(fuzz, workspaces);
        pocketdet::fuzz_nms(fuzz, workspaces);
        pocketdet::fuzz_propose(fuzz, workspaces);
        pocketdet::fuzz_ps_roi_align(fuzz, workspaces);
        pocketdet::fuzz_detect(fuzz, workspaces);
    }
    std::printf("core_fuzz: %d rounds passed\n", rounds);
    return 0;
}
