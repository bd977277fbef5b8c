// Prints the objects in an image, one a line: detect_cpp BUNDLE IMAGE
#include <cstdio>
#include <pocketdet/pocketdet.hpp>

int main(int argc, char** argv) try {
    if (argc != 3) throw pocketdet::Error(POCKETDET_USAGE_ERROR, "usage: detect_cpp BUNDLE IMAGE");
    pocketdet::Detector detector(argv[1]);
    const pocketdet::Image image(argv[2]);
    const pocketdet::Detections detections = detector.detect(image.view());
    for (const pocketdet::Detection& d : detections.found) {
        const std::string& name = detector.class_names()[static_cast<std::size_t>(d.label)];
        std::printf("%s %.3f %.2f %.2f %.2f %.2f\n", name.c_str(), d.score, d.x1, d.y1, d.x2, d.y2);
    }
    return 0;
} catch (const pocketdet::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
}
