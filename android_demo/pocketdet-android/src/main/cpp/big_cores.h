// Keeping a frame on a processor's fast cores, which a system may refuse.
#pragma once

#include <sched.h>

#include <vector>

namespace pocketdet {

// The cores whose highest clock is at or above the middle between the slowest and the fastest core's (ncnn's rule for
// its big cluster); empty where the system does not tell clocks, since then no core is known to be bigger. Read once.
const std::vector<int>& big_cores();

// Lets the calling thread run on every core again. What it was allowed before is no guide: while an app is in the
// background a system narrows that for a time, and a thread that is set to the narrow mask keeps it.
void allow_all_cores();

// While it lives the calling thread runs on `cores` alone, if the system lets it, and then on all; empty changes
// nothing.
class OnCores {
public:
    explicit OnCores(const std::vector<int>& cores);
    ~OnCores();
    OnCores(const OnCores&) = delete;
    OnCores& operator=(const OnCores&) = delete;

    // Whether the thread may run on nothing else now.
    bool holds() const;

private:
    cpu_set_t asked_;
    bool set_ = false;
};

}  // namespace pocketdet
