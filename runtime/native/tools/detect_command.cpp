#include "arguments.h"
#include "commands.h"
#include "errors.h"
#include "image_file.h"

namespace pocketdet {

namespace {

const char* const kUsage =
    "pocketdet-run detect BUNDLE IMAGE... [options]\n"
    "\n"
    "Finds objects in images: JPEG, PNG, binary PPM (P6), or raw pixels with --raw. The EXIF orientation of a JPEG is\n"
    "applied. The output has, per image, boxes [x1, y1, x2, y2] in pixels of that image, scores, labels, and the\n"
    "milliseconds of each stage. Of several images, those that cannot be read are listed under \"failures\", and the\n"
    "exit code is 1.\n"
    "\n";

const std::vector<OptionSpec>& option_specs() {
    static const std::vector<OptionSpec> specs = with_detector_options({
        {"raw", "WIDTHxHEIGHT", "the images are files of raw pixels"},
        {"format", "rgb|bgr|rgba|bgra|nv21", "of raw pixels (rgb)"},
    });
    return specs;
}

struct RawLayout {
    PixelFormat format;
    int width, height;
};

RawLayout raw_layout(const Arguments& arguments) {
    const std::string size = arguments.text("raw", "");
    int width = 0;
    int height = 0;
    char rest = 0;
    if (std::sscanf(size.c_str(), "%6dx%6d%c", &width, &height, &rest) != 2 || width < 1 || height < 1) {
        arguments.fail("--raw " + size + ": expected WIDTHxHEIGHT in pixels, such as 640x480");
    }
    const std::string name = arguments.choice("format", {"rgb", "bgr", "rgba", "bgra", "nv21"});
    const PixelFormat format = name == "rgb"    ? PixelFormat::rgb
                               : name == "bgr"  ? PixelFormat::bgr
                               : name == "rgba" ? PixelFormat::rgba
                               : name == "bgra" ? PixelFormat::bgra
                                                : PixelFormat::nv21;
    return {format, width, height};
}

Image load_image(const Arguments& arguments, const std::string& path) {
    if (!arguments.has("raw")) {
        if (arguments.has("format")) arguments.fail("--format is for --raw images");
        return read_image(path);
    }
    const RawLayout layout = raw_layout(arguments);
    return read_raw(path, layout.format, layout.width, layout.height);
}

OrderedJson json_of_found(const Detections& detections, const Manifest& manifest) {
    OrderedJson found = OrderedJson::array();
    for (const Detection& d : detections.found) {
        found.push_back({{"box", {d.box.x1, d.box.y1, d.box.x2, d.box.y2}},
                         {"score", d.score},
                         {"label", d.label},
                         {"name", manifest.class_names[static_cast<size_t>(d.label)]}});
    }
    return found;
}

}  // namespace

int run_detect(const std::vector<std::string>& args, const Sink& out) {
    const Arguments arguments("detect", args, option_specs());
    if (arguments.has("help")) {
        std::fputs((kUsage + help_lines(option_specs())).c_str(), stdout);
        return 0;
    }
    const std::vector<std::string>& paths = arguments.positional();
    if (paths.size() < 2) arguments.fail("expected a bundle and one or more images");
    const DetectorOptions options = detector_options(arguments);
    const Bundle bundle = load_bundle(paths[0], arguments.text("digest", ""), input_size(arguments));
    Detector detector(bundle, options);
    OrderedJson document = header_of("detect", bundle, detector);
    document["images"] = OrderedJson::array();
    document["failures"] = OrderedJson::array();
    for (size_t i = 1; i < paths.size(); ++i) {
        Image image;
        try {
            image = load_image(arguments, paths[i]);
        } catch (const ImageError& error) {
            if (paths.size() == 2) throw;
            std::fprintf(stderr, "%s\n", error.what());
            document["failures"].push_back({{"image", paths[i]}, {"message", error.what()}});
            continue;
        }
        const Detections detections = detector.detect(image.view());
        document["images"].push_back({{"image", paths[i]},
                                      {"width", image.width},
                                      {"height", image.height},
                                      {"rois", detections.rois},
                                      {"milliseconds", times_of(detector, detections)},
                                      {"detections", json_of_found(detections, bundle.manifest)}});
    }
    out(document);
    return document["failures"].empty() ? 0 : 1;
}

}  // namespace pocketdet
