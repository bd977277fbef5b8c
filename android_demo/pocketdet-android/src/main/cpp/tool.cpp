// pocketdet-run's commands in this process: same code, same document, handed over instead of printed.
#include <jni.h>

#include "big_cores.h"
#include "commands.h"
#include "handle.h"
#include "java.h"

namespace pocketdet {

namespace {

std::string document_of(const std::string& command, const std::vector<std::string>& words) {
    std::string text;
    const Sink store = [&](OrderedJson document) {
        document["program"] = "pocketdet-android " POCKETDET_VERSION;
        text = document.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
    };
    const OnCores gives_back(command == "bench" ? allowed_cpus() : std::vector<int>());
    if (command == "bench") run_bench(words, store);
    if (command == "verify") run_verify(words, store);
    if (command == "machine") run_machine(words, store);
    return text;
}

}  // namespace

jstring run_tool(JNIEnv* env, jclass, jobjectArray words) {
    return java::guarded(env, jstring{nullptr}, [&] {
        const std::vector<std::string> all = java::to_strings(env, words);
        return java::to_java(env, document_of(all.at(0), {all.begin() + 1, all.end()}));
    });
}

}  // namespace pocketdet
