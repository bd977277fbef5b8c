// What the documents of several commands hold, and the one that needs no bundle.
#include <cstdio>

#include "arguments.h"
#include "commands.h"

namespace pocketdet {

int run_machine(const std::vector<std::string>& args, const Sink& out) {
    const Arguments arguments("machine", args, {{"help", "", "this text"}});
    if (arguments.has("help")) {
        std::puts("pocketdet-run machine\n\nWhat this machine is, and its clocks, temperatures and load now.");
        return 0;
    }
    out({{"schema_version", 1},
         {"program", "pocketdet-run " POCKETDET_VERSION},
         {"command", "machine"},
         {"ncnn", ncnn_build()},
         {"ncnn_cpu_features", ncnn_cpu_features()},
         {"machine", describe_machine()},
         {"sensors", read_sensors()}});
    return 0;
}

OrderedJson header_of(const char* command, const Bundle& bundle, const Detector& detector) {
    const Manifest& m = bundle.manifest;
    return {{"schema_version", 1},
            {"program", "pocketdet-run " POCKETDET_VERSION},
            {"command", command},
            {"bundle",
             {{"name", m.name},
              {"detector", m.detector()},
              {"digest", bundle.digest},
              {"input", {m.input.height, m.input.width}},
              {"weight_storage", m.weight_storage},
              {"lanes", m.lanes},
              {"target", m.target}}},
            {"engine",
             {{"ncnn", ncnn_build()},
              {"cpu_features", ncnn_cpu_features()},
              {"threads", detector.threads()},
              {"own_layers", detector.own_layers()},
              {"precision_asked", name_of(detector.asked())},
              {"precision", name_of(detector.precision())},
              {"precision_note", why_other(detector.asked(), detector.precision())}}}};
}

OrderedJson times_of(const Detector& detector, const Detections& detections) {
    OrderedJson record;
    for (size_t i = 0; i < detector.stages().size(); ++i) record[detector.stages()[i]] = detections.milliseconds[i];
    return record;
}

}  // namespace pocketdet
