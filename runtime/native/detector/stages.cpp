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

std::vector<Check> compare_stages(const Golden& golden, Detector& detector) {
    const Tolerances tolerances = tolerances_for(detector.precision(), detector.manifest().weight_storage);
    const ImageView image = golden.image.view();
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
