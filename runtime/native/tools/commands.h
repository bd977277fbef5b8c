// The commands of pocketdet-run. Each takes the words after its name, writes one JSON document to standard output and
// returns the exit code.
#pragma once

#include <string>
#include <vector>

#include "bundle.h"
#include "detector.h"
#include "machine.h"

namespace pocketdet {

int run_detect(const std::vector<std::string>& words);
int run_verify(const std::vector<std::string>& words);
int run_bench(const std::vector<std::string>& words);
int run_machine(const std::vector<std::string>& words);

// What every document begins with: the program, the bundle, and how ncnn runs it.
OrderedJson header_of(const char* command, const Bundle& bundle, const Detector& detector);

// A picture's milliseconds by stage name.
OrderedJson times_of(const Detector& detector, const Detections& detections);

// Writes a document and its newline. Throws Error if standard output does not take it.
void print(const OrderedJson& document);

}  // namespace pocketdet
