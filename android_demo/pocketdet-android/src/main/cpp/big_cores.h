// Keeping a frame on a processor's fast cores, which a system may refuse.
#pragma once

#include <sched.h>

#include <vector>

namespace pocketdet {

// The cores whose highest clock is at or above the middle between the slowest and the fastest core's (ncnn's rule for
// its big cluster); empty where the system does not tell clocks, since then no core is known to be bigger.
std::vector<int> big_cores();

// While it lives the calling thread runs on `cores` alone, if the system lets it; empty changes nothing.
class OnCores {
public:
    explicit OnCores(const std::vector<int>& cores);
    ~OnCores();
    OnCores(const OnCores&) = delete;
    OnCores& operator=(const OnCores&) = delete;

    // Whether the thread may run on nothing else now.
    bool holds() const;

private:
    cpu_set_t before_, asked_;
    bool set_ = false;
};

}  // namespace pocketdet
