#include <cmath>

#include "arguments.h"
#include "commands.h"
#include "golden.h"
#include "stages.h"

namespace pocketdet {

namespace {

const char* const kUsage =
    "pocketdet-run verify BUNDLE [options]\n"
    "\n"
    "Replays the golden image of a bundle on this machine and compares every stage with what PyTorch made of it,\n"
    "each stage fed with PyTorch's own inputs. Exit code 0 if all agree, 1 if one does not, 2 if it cannot be run.\n"
    "A stage with nothing to compare agrees, and is listed as not proved. Without --size all input sizes are\n"
    "verified; the names of checks end with the size if it is not the bundle's first.\n"
    "\n";

const std::vector<OptionSpec>& option_specs() {
    static const std::vector<OptionSpec> specs = {
        {"precision", kPrecisions, "arithmetic asked of ncnn; tolerances follow what is used (the bundle's)"},
        {"size", "SIDE|HEIGHTxWIDTH", "this input size of the bundle alone (all of them)"},
        kNcnnLayersOption,
        {"digest", "SHA256", "refuse the bundle unless its manifest.json has this hash"},
        {"help", "", "this text"},
    };
    return specs;
}

OrderedJson json_of_check(const Check& check) {
    OrderedJson record = {{"name", check.name}, {"shape", check.shape}};
    record["max_abs"] = std::isfinite(check.max_abs) ? OrderedJson(check.max_abs) : OrderedJson();
    record["snr_db"] = check.snr_db ? OrderedJson(*check.snr_db) : OrderedJson();
    record["cosine"] = check.cosine;
    record["tolerance"] = check.tolerance;
    record["ok"] = check.ok;
    record["note"] = check.note;
    record["proved"] = check.proved;
    return record;
}

// The checks at another input size than the bundle's first.
std::vector<Check> verify_at(const std::string& path, const std::string& digest, Size size,
                             const DetectorOptions& options) {
    const Bundle bundle = load_bundle(path, digest, size);
    Detector detector(bundle, options);
    std::vector<Check> checks = compare_stages(load_golden(bundle), detector);
    for (Check& check : checks) check.name += " at " + size_text(size);
    return checks;
}

}  // namespace

int run_verify(const std::vector<std::string>& args, const Sink& out) {
    const Arguments arguments("verify", args, option_specs());
    if (arguments.has("help")) {
        std::fputs((kUsage + help_lines(option_specs())).c_str(), stdout);
        return 0;
    }
    if (arguments.positional().size() != 1) arguments.fail("expected one bundle");
    const DetectorOptions options = detector_options(arguments);
    const std::string& path = arguments.positional()[0];
    const Bundle bundle = load_bundle(path, arguments.text("digest", ""), input_size(arguments));
    Detector detector(bundle, options);
    std::vector<Check> checks = compare_stages(load_golden(bundle), detector);
    if (!arguments.has("size")) {
        const std::vector<Size>& sizes = bundle.manifest.sizes;
        for (size_t i = 1; i < sizes.size(); ++i) {
            for (Check& check : verify_at(path, bundle.digest, sizes[i], options)) checks.push_back(std::move(check));
        }
    }
    OrderedJson document = header_of("verify", bundle, detector);
    bool ok = true;
    OrderedJson rows = OrderedJson::array(), not_proved = OrderedJson::array();
    for (const Check& check : checks) {
        ok = ok && check.ok;
        rows.push_back(json_of_check(check));
        if (check.ok && check.proved) continue;
        const char* problem = check.ok ? "has nothing to compare: not proved" : "is out of tolerance";
        std::fprintf(stderr, "pocketdet-run verify: stage '%s' %s\n", check.name.c_str(), problem);
        if (check.ok) not_proved.push_back(check.name);
    }
    document["ok"] = ok;
    document["not_proved"] = not_proved;
    document["checks"] = rows;
    out(document);
    return ok ? 0 : 1;
}

}  // namespace pocketdet
