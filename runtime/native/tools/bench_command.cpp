#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "arguments.h"
#include "commands.h"
#include "golden.h"
#include "sha256.h"

namespace pocketdet {

namespace {

const char* const kUsage =
    "pocketdet-run bench BUNDLE [IMAGE...] [options]\n"
    "\n"
    "Times a bundle: warm-up, then frames one after the other, the images (JPEG, PNG or PPM; the\n"
    "golden one if none is given) by turns. The output keeps every frame's milliseconds per stage and the processor\n"
    "it began and ended on, and clocks, temperatures, load and battery before, during and after. It decides nothing.\n"
    "\n"
    "Ends after --frames or --seconds, whichever comes first; with one of the two given, by that one alone.\n"
    "\n"
    "--layers also times every layer of the networks. The frames then come in pairs on the same image, one with the\n"
    "layers timed and one without, so that the difference is the cost of timing them.\n"
    "\n"
    "--frames-only leaves out what machines differ in, so that an emulator runs the same instructions on any.\n"
    "\n";

const std::vector<OptionSpec>& option_specs() {
    static const std::vector<OptionSpec> specs = with_detector_options({
        {"frames", "COUNT", "measured frames (1024)"},
        {"seconds", "SECONDS", "measured time (60)"},
        {"warmup", "COUNT", "frames before (20)"},
        {"cpu", "NUMBER", "pin to this processor"},
        {"layers", "", "time every layer in every second frame"},
        {"frames-only", "", "leave out the description of the machine, its clocks and sensors"},
    });
    return specs;
}

constexpr int kNoEnd = std::numeric_limits<int>::max();

struct Plan {
    int warmup, frames;
    double seconds;
    bool frames_only;  // without the machine, its clocks and sensors
};

Plan plan_of(const Arguments& arguments) {
    const std::optional<int> frames = arguments.integer("frames", 1, 10'000'000);
    const std::optional<double> seconds = arguments.number("seconds", 0.001, 86'400);
    return {arguments.integer("warmup", 0, 100'000).value_or(20), frames.value_or(seconds ? kNoEnd : 1024),
            seconds.value_or(frames ? std::numeric_limits<double>::infinity() : 60.0), arguments.has("frames-only")};
}

class Clock {
public:
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

struct Recording {
    OrderedJson milliseconds = OrderedJson::array();  // [frame][stage]
    OrderedJson started_s = OrderedJson::array();     // since the first frame
    OrderedJson cpu_before = OrderedJson::array(), cpu_after = OrderedJson::array();
    OrderedJson rois = OrderedJson::array(), detections = OrderedJson::array();
    OrderedJson clocks = OrderedJson::array();  // about once a second, between frames
    double seconds = 0;
};

// The times of layers, in one frame of each pair: either the first or the second, by turns.
class LayerRecording {
public:
    LayerRecording(Detector& detector, bool wanted) {
        if (wanted) networks_ = detector.pipeline().networks();
    }

    bool wanted() const { return !networks_.empty(); }

    void before(int frame) {
        timed_ = wanted() && frame % 2 == frame / 2 % 2;
        for (const StageNetwork& one : networks_) one.network.layer_timer().set(timed_);
    }

    void after() {
        timed_frames_.push_back(timed_);
        if (!timed_) return;
        OrderedJson row = OrderedJson::array();
        for (const StageNetwork& one : networks_) {
            for (const auto& time : one.network.layer_timer().times()) row.push_back(time.count());
        }
        nanoseconds_.push_back(std::move(row));
    }

    OrderedJson json() {
        OrderedJson names = OrderedJson::array();
        for (const StageNetwork& one : networks_) {
            for (const std::string& name : one.network.layer_timer().names()) {
                names.push_back({{"stage", one.stage}, {"name", name}});
            }
        }
        return {{"names", names}, {"timed", std::move(timed_frames_)}, {"nanoseconds", std::move(nanoseconds_)}};
    }

private:
    std::vector<StageNetwork> networks_;
    OrderedJson timed_frames_ = OrderedJson::array();  // [frame]
    OrderedJson nanoseconds_ = OrderedJson::array();   // [timed frame][layer]
    bool timed_ = false;
};

Recording measure(Detector& detector, const std::vector<Image>& images, const Plan& plan, LayerRecording& layers,
                  const Cancel& cancel) {
    Recording recording;
    const Clock clock;
    double next_clock_reading = 0;
    for (int i = 0; i < plan.frames && (i == 0 || clock.seconds() < plan.seconds); ++i) {
        cancel();
        if (!plan.frames_only && clock.seconds() >= next_clock_reading) {
            const int cpu = current_cpu();
            recording.clocks.push_back({{"at_s", clock.seconds()}, {"cpu", cpu}, {"khz", cpu_khz(cpu)}});
            next_clock_reading = clock.seconds() + 1.0;
        }
        const int image = layers.wanted() ? i / 2 : i;
        layers.before(i);
        recording.started_s.push_back(clock.seconds());
        const int before = current_cpu();
        const Detections found = detector.detect(images[static_cast<size_t>(image) % images.size()].view());
        recording.cpu_after.push_back(current_cpu());
        recording.cpu_before.push_back(before);
        layers.after();
        recording.milliseconds.push_back(found.milliseconds);
        recording.rois.push_back(found.rois);
        recording.detections.push_back(found.found.size());
    }
    recording.seconds = clock.seconds();
    return recording;
}

void put_state_of_machine(OrderedJson& document, const char* affinity, const char* when) {
    document[affinity] = allowed_cpus();
    document[when] = {{"sensors", read_sensors()}, {"usage", read_usage()}};
}

double total(const std::vector<double>& stages) { return std::accumulate(stages.begin(), stages.end(), 0.0); }

// Proposals that the head may see.
int most_rois(const Manifest& manifest, const DetectorOptions& options) {
    const auto* two_stage = std::get_if<TwoStageParts>(&manifest.parts);
    return two_stage != nullptr ? options.rois.value_or(two_stage->proposals.post_nms_top_n) : 0;
}

std::vector<Image> load_images(const Bundle& bundle, const std::vector<std::string>& paths) {
    std::vector<Image> images;
    for (size_t i = 1; i < paths.size(); ++i) images.push_back(read_image(paths[i]));
    if (images.empty()) images.push_back(load_golden(bundle).image);
    return images;
}

OrderedJson json_of_images(const std::vector<Image>& images, const std::vector<std::string>& paths) {
    OrderedJson all = OrderedJson::array();
    for (size_t i = 0; i < images.size(); ++i) {
        const std::string name = paths.size() > 1 ? paths[i + 1] : "golden";
        const std::vector<uint8_t>& pixels = images[i].pixels;
        all.push_back({{"image", name},
                       {"width", images[i].width},
                       {"height", images[i].height},
                       {"sha256", sha256_of(pixels.data(), pixels.size())}});
    }
    return all;
}

}  // namespace

int run_bench(const std::vector<std::string>& args, const Sink& out, const Cancel& cancel) {
    const Arguments arguments("bench", args, option_specs());
    if (arguments.has("help")) {
        std::fputs((kUsage + help_lines(option_specs())).c_str(), stdout);
        return 0;
    }
    const std::vector<std::string>& paths = arguments.positional();
    if (paths.empty()) arguments.fail("expected a bundle");
    const DetectorOptions options = detector_options(arguments);
    const Plan plan = plan_of(arguments);
    const std::optional<int> cpu = arguments.integer("cpu", 0, 1023);
    if (cpu) pin_to_cpu(*cpu);
    const Clock loading;
    const Bundle bundle = load_bundle(paths[0], arguments.text("digest", ""), input_size(arguments));
    Detector detector(bundle, options);
    const double load_ms = 1000 * loading.seconds();
    const std::vector<Image> images = load_images(bundle, paths);
    OrderedJson document = header_of("bench", bundle, detector);
    if (!plan.frames_only) document["machine"] = describe_machine();
    document["images"] = json_of_images(images, paths);
    document["options"] = {{"warmup", plan.warmup},
                           {"frames", plan.frames == kNoEnd ? OrderedJson() : OrderedJson(plan.frames)},
                           {"seconds", std::isinf(plan.seconds) ? OrderedJson() : OrderedJson(plan.seconds)},
                           {"rois", most_rois(bundle.manifest, options)},
                           {"cpu", cpu ? OrderedJson(*cpu) : OrderedJson()}};
    std::optional<double> first_frame_ms;
    for (int i = 0; i < plan.warmup; ++i) {
        cancel();
        const Detections found = detector.detect(images[static_cast<size_t>(i) % images.size()].view());
        if (i == 0) first_frame_ms = total(found.milliseconds);
    }
    if (!plan.frames_only) put_state_of_machine(document, "affinity", "before");
    LayerRecording layers(detector, arguments.has("layers"));
    Recording recording = measure(detector, images, plan, layers, cancel);
    if (!plan.frames_only) put_state_of_machine(document, "affinity_after", "after");
    document["load_ms"] = load_ms;
    document["first_frame_ms"] = first_frame_ms.value_or(total(recording.milliseconds[0].get<std::vector<double>>()));
    document["measured_s"] = recording.seconds;
    document["stages"] = detector.stages();
    document["samples"] = {{"milliseconds", std::move(recording.milliseconds)},
                           {"started_s", std::move(recording.started_s)},
                           {"cpu_before", std::move(recording.cpu_before)},
                           {"cpu_after", std::move(recording.cpu_after)},
                           {"rois", std::move(recording.rois)},
                           {"detections", std::move(recording.detections)}};
    document["clocks"] = std::move(recording.clocks);
    if (layers.wanted()) document["layers"] = layers.json();
    out(document);
    return 0;
}

}  // namespace pocketdet
