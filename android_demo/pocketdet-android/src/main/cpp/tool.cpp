// pocketdet-run's commands in this process: same code, same document, handed over instead of printed.
#include <jni.h>

#include <utility>

#include "big_cores.h"
#include "commands.h"
#include "errors.h"
#include "handle.h"
#include "java.h"
#include "network.h"

namespace pocketdet {

namespace {

thread_local std::string t_document;

void run(const std::string& command, const std::vector<std::string>& words) {
    if (command == "bench") {
        const OnCores keeps_affinity(allowed_cpus());
        run_bench(words);
    } else if (command == "verify") {
        run_verify(words);
    } else {
        print({{"schema_version", 1},
               {"command", "machine"},
               {"ncnn", ncnn_build()},
               {"ncnn_cpu_features", ncnn_cpu_features()},
               {"machine", describe_machine()},
               {"sensors", read_sensors()}});
    }
}

}  // namespace

// In pocketdet-run this writes to standard output.
void print(const OrderedJson& document) {
    OrderedJson ours = document;
    ours["program"] = "pocketdet-android " POCKETDET_VERSION;
    t_document = ours.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

jstring run_tool(JNIEnv* env, jclass, jobjectArray words) {
    return java::guarded(env, jstring{nullptr}, [&] {
        std::vector<std::string> all = java::to_strings(env, words);
        run(all.at(0), {all.begin() + 1, all.end()});
        return java::to_java(env, std::exchange(t_document, {}));
    });
}

}  // namespace pocketdet
