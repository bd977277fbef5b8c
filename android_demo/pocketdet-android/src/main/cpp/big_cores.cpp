#include "big_cores.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>

namespace pocketdet {

namespace {

std::vector<int> read_big_cores() {
    std::vector<std::pair<int, long>> clocks;
    const long configured = sysconf(_SC_NPROCESSORS_CONF);
    for (int cpu = 0; cpu < configured; ++cpu) {
        const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
        std::ifstream file(folder + "/cpufreq/cpuinfo_max_freq");
        long khz = 0;
        if (file >> khz) clocks.emplace_back(cpu, khz);
    }
    if (clocks.empty()) return {};
    const auto by_clock = [](const auto& a, const auto& b) { return a.second < b.second; };
    const auto [least, most] = std::minmax_element(clocks.begin(), clocks.end(), by_clock);
    const long middle = (least->second + most->second) / 2;
    std::vector<int> cores;
    for (const auto& [cpu, khz] : clocks) {
        if (khz >= middle) cores.push_back(cpu);
    }
    return cores;
}

}  // namespace

const std::vector<int>& big_cores() {
    static const std::vector<int> cores = read_big_cores();
    return cores;
}

OnCores::OnCores(const std::vector<int>& cores) {
    CPU_ZERO(&asked_);
    for (const int cpu : cores) CPU_SET(static_cast<size_t>(cpu), &asked_);
    set_ = !cores.empty() && sched_setaffinity(0, sizeof asked_, &asked_) == 0;
}

OnCores::~OnCores() {
    if (set_) allow_all_cores();
}

bool OnCores::holds() const {
    cpu_set_t now;
    if (!set_ || sched_getaffinity(0, sizeof now, &now) != 0) return false;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &now) && !CPU_ISSET(cpu, &asked_)) return false;
    }
    return true;
}

void allow_all_cores() {
    cpu_set_t all;
    std::memset(&all, 0xff, sizeof all);  // the system leaves out what there is not, and what the app may not use now
    sched_setaffinity(0, sizeof all, &all);
}

}  // namespace pocketdet
