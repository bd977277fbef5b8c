// pocketdet-run's commands in this process: same code, same document, handed over instead of printed.
#include <jni.h>

#include <algorithm>

#include "big_cores.h"
#include "commands.h"
#include "handle.h"
#include "java.h"

namespace pocketdet {

namespace {

// As run_bench; a thread that it pins gets its cores back, and one that is interrupted ends before its next frame.
void bench(JNIEnv* env, const std::vector<std::string>& words, const Sink& out) {
    struct Unpin {
        bool pinned;
        ~Unpin() {
            if (pinned) allow_all_cores();
        }
    };
    const auto is_cpu = [](const std::string& word) { return word.rfind("--cpu=", 0) == 0; };
    const Unpin unpin{std::any_of(words.begin(), words.end(), is_cpu)};
    run_bench(words, out, [&] { java::check_interrupt(env); });
}

std::string document_of(JNIEnv* env, const std::string& command, const std::vector<std::string>& words) {
    std::string text;
    const Sink store = [&](OrderedJson document) {
        document["program"] = "pocketdet-android " POCKETDET_VERSION;
        text = document.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
    };
    if (command == "bench") bench(env, words, store);
    if (command == "verify") run_verify(words, store);
    if (command == "machine") run_machine(words, store);
    return text;
}

}  // namespace

jstring run_tool(JNIEnv* env, jclass, jobjectArray words) {
    return java::guarded(env, jstring{nullptr}, [&] {
        const std::vector<std::string> all = java::to_strings(env, words);
        return java::to_java(env, document_of(env, all.at(0), {all.begin() + 1, all.end()}));
    });
}

}  // namespace pocketdet
