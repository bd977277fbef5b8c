// What a measurement must know of the machine it ran on: processors, clocks, temperatures, load. Linux and Android;
// what a system does not tell is left out.
#pragma once

#include <vector>

#include <nlohmann/json.hpp>

namespace pocketdet {

using OrderedJson = nlohmann::ordered_json;

// What does not change: system, processors, memory, instruction sets, and whether this is an emulator.
OrderedJson describe_machine();

// What does: clocks and governors per processor, thermal zones, battery, load, and processor time used so far.
OrderedJson read_sensors();

// The processors that this process may run on.
std::vector<int> allowed_cpus();

// Keeps this thread on one processor. Throws UsageError if the system refuses.
void pin_to_cpu(int cpu);

// The processor that this thread runs on at this moment; -1 if the system does not tell.
int current_cpu();

// Clock of one processor in kHz now; 0 if the system does not tell.
long cpu_khz(int cpu);

// Processor time, page faults, context switches and memory of this process so far.
OrderedJson read_usage();

}  // namespace pocketdet
