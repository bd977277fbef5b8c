#include "arguments.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "errors.h"

namespace pocketdet {

namespace {

std::string range_text(double low, double high) {
    char text[64];
    std::snprintf(text, sizeof text, "from %g to %g", low, high);
    return text;
}

}  // namespace

Arguments::Arguments(const std::string& command, const std::vector<std::string>& args,
                     const std::vector<OptionSpec>& options)
    : command_(command) {
    for (size_t i = 0; i < args.size(); ++i) {
        if (args[i].compare(0, 2, "--") != 0) {
            positional_.push_back(args[i]);
            continue;
        }
        const size_t equals = args[i].find('=');
        const std::string name = args[i].substr(2, equals == std::string::npos ? equals : equals - 2);
        const auto is_named = [&](const OptionSpec& option) { return name == option.name; };
        const auto spec = std::find_if(options.begin(), options.end(), is_named);
        if (spec == options.end()) fail("--" + name + " is not one of its options");
        std::string value;
        if (equals != std::string::npos) {
            value = args[i].substr(equals + 1);
        } else if (*spec->value != '\0') {
            if (i + 1 == args.size()) fail("--" + name + " needs a value: " + spec->value);
            value = args[++i];
        }
        if (!values_.emplace(name, value).second) fail("--" + name + " is given twice");
    }
}

std::string Arguments::text(const std::string& name, const std::string& otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : found->second;
}

std::optional<double> Arguments::number(const std::string& name, double low, double high) const {
    if (!has(name)) return std::nullopt;
    const std::string& word = values_.at(name);
    char* end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    if (word.empty() || *end != '\0' || !(value >= low && value <= high)) {
        fail("--" + name + " " + word + ": expected a number " + range_text(low, high));
    }
    return value;
}

std::optional<int> Arguments::integer(const std::string& name, int low, int high) const {
    if (!has(name)) return std::nullopt;
    const std::string& word = values_.at(name);
    char* end = nullptr;
    errno = 0;
    const long value = std::strtol(word.c_str(), &end, 10);
    if (word.empty() || *end != '\0' || errno != 0 || value < low || value > high) {
        fail("--" + name + " " + word + ": expected a whole number " + range_text(low, high));
    }
    return static_cast<int>(value);
}

std::string Arguments::choice(const std::string& name, const std::vector<std::string>& choices) const {
    const std::string word = text(name, choices.front());
    if (std::find(choices.begin(), choices.end(), word) != choices.end()) return word;
    std::string all;
    for (const std::string& one : choices) all += (all.empty() ? "" : ", ") + one;
    fail("--" + name + " " + word + ": expected one of " + all);
}

void Arguments::fail(const std::string& problem) const {
    throw UsageError("pocketdet-run " + command_ + ": " + problem + "; see pocketdet-run " + command_ + " --help");
}

std::vector<OptionSpec> with_detector_options(std::vector<OptionSpec> own) {
    const OptionSpec shared[] = {
        {"precision", kPrecisions, "arithmetic asked of ncnn; the output reports what it uses (the bundle's)"},
        {"score-threshold", "0..1", "least score of a detection (the bundle's)"},
        {"nms", "hard|linear|gaussian", "suppression (the bundle's)"},
        {"nms-iou", "0..1", "overlap above which boxes suppress each other (the bundle's)"},
        {"rois", "COUNT", "proposals that the head of a two-stage detector sees (the bundle's)"},
        {"max-detections", "COUNT", "most detections of one image (the bundle's)"},
        kSizeOption,
        {"threads", "COUNT", "1, or up to 4 where ncnn was built with OpenMP (1)"},
        kNcnnLayersOption,
        {"digest", "SHA256", "refuse the bundle unless its manifest.json has this hash"},
        {"help", "", "this text"},
    };
    for (const OptionSpec& spec : shared) own.push_back(spec);
    return own;
}

DetectorOptions detector_options(const Arguments& arguments) {
    DetectorOptions options;
    options.threads = arguments.integer("threads", 1, 256).value_or(1);
    options.ncnn_layers = arguments.has("ncnn-layers");
    if (arguments.has("precision")) {
        options.precision = arithmetic_of(arguments.choice("precision", {kArithmetics.begin(), kArithmetics.end()}));
    }
    options.score_threshold = arguments.number("score-threshold", 0, 1);
    options.nms_iou = arguments.number("nms-iou", 0, 1);
    options.rois = arguments.integer("rois", 1, 10'000);
    options.max_detections = arguments.integer("max-detections", 1, 10'000);
    if (arguments.has("nms")) {
        const std::string method = arguments.choice("nms", {"hard", "linear", "gaussian"});
        options.nms = method == "hard" ? NmsMethod::hard : method == "linear" ? NmsMethod::linear : NmsMethod::gaussian;
    }
    return options;
}

std::optional<Size> input_size(const Arguments& arguments) {
    if (!arguments.has("size")) return std::nullopt;
    return parse_size(arguments.text("size", ""));
}

std::string help_lines(const std::vector<OptionSpec>& options) {
    std::string text;
    for (const OptionSpec& option : options) {
        std::string left = std::string("  --") + option.name + (*option.value != '\0' ? " " : "") + option.value;
        left.resize(std::max<size_t>(left.size() + 2, 34), ' ');
        text += left + option.help + "\n";
    }
    return text;
}

}  // namespace pocketdet
