// pocketdet-run: a detector bundle on any Linux or Android shell. Standard output is one JSON document; errors are one
// sentence on standard error. Exit codes: 0 done, 1 a check ran and failed, 2 bad input or usage.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include "arguments.h"
#include "commands.h"
#include "errors.h"

namespace pocketdet {

namespace {

const char* const kHelp =
    "pocketdet-run COMMAND ... runs a detector bundle (a folder NAME.pocketdet) on this machine.\n"
    "\n"
    "  verify BUNDLE              replay its golden image and compare every stage with PyTorch\n"
    "  detect BUNDLE IMAGE...     find objects in images (JPEG, PNG, PPM, raw)\n"
    "  bench BUNDLE [IMAGE...]    time it, frame by frame and stage by stage\n"
    "  machine                    what this machine is, and its clocks, temperatures and load\n"
    "\n"
    "Each command explains itself with --help. Results are JSON on standard output, errors one sentence on standard\n"
    "error. Exit codes: 0 done, 1 a check failed, 2 bad input.\n"
    "\n"
    "First steps on a phone:\n"
    "  adb push pocketdet-run thundernet.pocketdet /data/local/tmp/\n"
    "  adb shell chmod +x /data/local/tmp/pocketdet-run\n"
    "  adb shell /data/local/tmp/pocketdet-run verify /data/local/tmp/thundernet.pocketdet\n";

// Throws Error if standard output does not take what was written to it.
void check_output() {
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        throw Error("pocketdet-run: the output cannot be written; is the disk full?");
    }
}

void print(const OrderedJson& document) {
    const std::string text = document.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
    check_output();
}

int run(const std::vector<std::string>& args) {
    const std::string command = args.empty() ? "--help" : args[0];
    const std::vector<std::string> rest(args.begin() + (args.empty() ? 0 : 1), args.end());
    if (command == "detect") return run_detect(rest, print);
    if (command == "verify") return run_verify(rest, print);
    if (command == "bench") return run_bench(rest, print);
    if (command == "machine") return run_machine(rest, print);
    if (command == "--version") {
        std::printf("pocketdet-run " POCKETDET_VERSION ", %s\n", ncnn_build().c_str());
        return 0;
    }
    if (command == "--help" || command == "-h" || command == "help") {
        std::fputs(kHelp, args.empty() ? stderr : stdout);
        return args.empty() ? 2 : 0;
    }
    throw UsageError("pocketdet-run: '" + command.substr(0, 60) +
                     "' is not a command; there are detect, verify, bench and machine, see pocketdet-run --help");
}

}  // namespace

}  // namespace pocketdet

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    try {
        const int code = pocketdet::run({argv + 1, argv + argc});
        pocketdet::check_output();  // of help and version
        return code;
    } catch (const pocketdet::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
    } catch (const std::bad_alloc&) {
        std::fprintf(stderr, "pocketdet-run: out of memory\n");
    } catch (const std::exception& error) {
        std::fprintf(stderr, "pocketdet-run: unexpected: %s\n", error.what());
    }
    return 2;
}
