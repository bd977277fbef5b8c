// The commands of pocketdet-run, for it and for programs that want a document of their own process. Each takes the
// words after its name, hands over one JSON document (none for --help, which is printed) and returns the exit code.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bundle.h"
#include "detector.h"
#include "machine.h"

namespace pocketdet {

using Sink = std::function<void(const OrderedJson&)>;

// Called before every frame of a benchmark, outside of what is timed; throws to end it.
using Cancel = std::function<void()>;

int run_detect(const std::vector<std::string>& args, const Sink& out);
int run_verify(const std::vector<std::string>& args, const Sink& out);
int run_bench(const std::vector<std::string>& args, const Sink& out, const Cancel& cancel = [] {});
int run_machine(const std::vector<std::string>& args, const Sink& out);

// What every document begins with: the program, the bundle, and how ncnn runs it.
OrderedJson header_of(const char* command, const Bundle& bundle, const Detector& detector);

// An image's milliseconds by stage name.
OrderedJson times_of(const Detector& detector, const Detections& detections);

}  // namespace pocketdet
