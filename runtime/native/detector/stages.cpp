#include "stages.h"

namespace pocketdet {

static std::vector<double> row_sums(const Image& image) {
    std::vector<double> sums;
    for (int y = 0; y < image.height; ++y) {
        int64_t sum[3] = {0, 0, 0};
        const uint8_t* row = image.pixels.data() + static_cast<std::ptrdiff_t>(y) * image.width * 3;
        for (int i = 0; i < 3 * image.width; ++i) sum[i % 3] += row[i];
        for (const int64_t channel : sum) sums.push_back(static_cast<double>(channel));
    }
    return sums;
}

namespace {

// The score threshold that made the golden detections, while it lives.
class GoldenThreshold {
public:
    explicit GoldenThreshold(Detector& detector) : pipeline_(detector.pipeline()), own_(pipeline_.score_threshold()) {
        const std::optional<double>& golden = detector.manifest().golden_score_threshold;
        if (golden) pipeline_.set_score_threshold(*golden);
    }
    ~GoldenThreshold() { pipeline_.set_score_threshold(own_); }
    GoldenThreshold(const GoldenThreshold&) = delete;
    GoldenThreshold& operator=(const GoldenThreshold&) = delete;

private:
    Pipeline& pipeline_;
    const double own_;
};

}  // namespace

std::vector<Check> compare_stages(const Golden& golden, Detector& detector) {
    const Tolerances tolerances = tolerances_for(detector.precision(), detector.manifest().weight_storage);
    const ImageView image = golden.image.view();
    const GoldenThreshold threshold(detector);
    const std::vector<uint8_t> resized = detector.preprocessor().resize(image);
    std::vector<Check> checks = {
        compare_array("decode", golden["image_rows"], row_sums(golden.image), {}),
        compare_array("resize", golden["resized"], {resized.begin(), resized.end()}, {}),
        compare_array("normalise", golden["normalised"], values_of(detector.preprocessor().run(image)), {}),
    };
    for (const Check& check : detector.pipeline().compare(golden, tolerances)) checks.push_back(check);
    const std::vector<Detection> found = detector.detect(image).found;
    checks.push_back(compare_detections("image to boxes", detections_of(golden), found, tolerances));
    return checks;
}

}  // namespace pocketdet
