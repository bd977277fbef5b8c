#include "machine.h"

#include <dirent.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "cpu.h"
#include "errors.h"
#include "files.h"
#include "network.h"

namespace pocketdet {

namespace {

const std::string kCpus = "/sys/devices/system/cpu/";

// The first line of a file of the system, or nothing.
std::string first_line(const std::string& path) {
    try {
        const std::vector<uint8_t> data = read_file(path, 1 << 16);
        const std::string text(data.begin(), data.end());
        return text.substr(0, text.find('\n'));
    } catch (const std::runtime_error&) {
        return "";
    }
}

std::string whole(const std::string& path) {
    try {
        const std::vector<uint8_t> data = read_file(path, 1 << 22);
        return {data.begin(), data.end()};
    } catch (const std::runtime_error&) {
        return "";
    }
}

std::vector<std::string> names_in(const std::string& folder, const std::string& prefix) {
    std::vector<std::string> names;
    DIR* open_folder = opendir(folder.c_str());
    if (open_folder == nullptr) return names;
    while (const dirent* entry = readdir(open_folder)) {
        const std::string name = entry->d_name;
        if (name[0] != '.' && name.compare(0, prefix.size(), prefix) == 0) names.push_back(name);
    }
    closedir(open_folder);
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<int> cpu_numbers() {
    std::vector<int> numbers;
    for (const std::string& name : names_in(kCpus, "cpu")) {
        const std::string digits = name.substr(3);
        if (!digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos) {
            numbers.push_back(std::atoi(digits.c_str()));
        }
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

std::string cpu_file(int cpu, const char* name) { return first_line(kCpus + "cpu" + std::to_string(cpu) + "/" + name); }

void put(OrderedJson& record, const char* name, const std::string& value) {
    if (value.empty()) return;
    const bool number = value.find_first_not_of("-0123456789") == std::string::npos && value.size() < 18;
    if (number) {
        record[name] = std::atol(value.c_str());
    } else {
        record[name] = value;
    }
}

// The values of one field in /proc/cpuinfo, each once.
std::vector<std::string> cpuinfo(const std::string& text, const std::string& field) {
    std::vector<std::string> values;
    for (size_t start = 0; start < text.size();) {
        const size_t end = std::min(text.find('\n', start), text.size());
        const std::string line = text.substr(start, end - start);
        start = end + 1;
        const size_t colon = line.find(':');
        if (colon == std::string::npos || line.compare(0, field.size(), field) != 0) continue;
        if (line.find_first_not_of(" \t", field.size()) != colon) continue;
        const size_t first = std::min(line.find_first_not_of(' ', colon + 1), line.size());
        const std::string value = line.substr(first);
        if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
    }
    return values;
}

bool is_emulated(const std::string& info) {
#if defined(__aarch64__) || defined(__arm__)
    // a program that qemu emulates sees the host's processors, or, where they are emulated too, the host's kernel
    const std::string kernel = first_line("/proc/sys/kernel/arch");  // from Linux 6.1 on
    const bool is_other = !kernel.empty() && kernel != "aarch64" && kernel != "arm";
    return is_other || info.find("vendor_id") != std::string::npos;
#else
    (void)info;
    return false;
#endif
}

}  // namespace

OrderedJson describe_machine() {
    utsname system{};
    uname(&system);
    const std::string info = whole("/proc/cpuinfo");
    OrderedJson machine = {{"system", system.sysname},
                           {"release", system.release},
                           {"architecture", system.machine},
                           {"emulated", is_emulated(info)},
                           {"cpu_features", cpu_features()}};
    for (const char* field : {"model name", "Hardware", "CPU implementer", "CPU part", "vendor_id"}) {
        const std::vector<std::string> values = cpuinfo(info, field);
        if (!values.empty()) machine[field] = values;
    }
    put(machine, "device_model", first_line("/sys/firmware/devicetree/base/model").c_str());
    machine["memory_bytes"] = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
    put(machine, "online", first_line(kCpus + "online"));
    for (const int cpu : cpu_numbers()) {
        OrderedJson one = {{"cpu", cpu}};
        put(one, "least_khz", cpu_file(cpu, "cpufreq/cpuinfo_min_freq"));
        put(one, "most_khz", cpu_file(cpu, "cpufreq/cpuinfo_max_freq"));
        put(one, "capacity", cpu_file(cpu, "cpu_capacity"));
        put(one, "midr", cpu_file(cpu, "regs/identification/midr_el1"));
        machine["cpus"].push_back(one);
    }
    return machine;
}

OrderedJson read_sensors() {
    OrderedJson sensors = {{"cpus", OrderedJson::array()}, {"thermal", OrderedJson::array()}};
    for (const int cpu : cpu_numbers()) {
        OrderedJson one = {{"cpu", cpu}};
        put(one, "khz", cpu_file(cpu, "cpufreq/scaling_cur_freq"));
        put(one, "limit_khz", cpu_file(cpu, "cpufreq/scaling_max_freq"));
        put(one, "governor", cpu_file(cpu, "cpufreq/scaling_governor"));
        sensors["cpus"].push_back(one);
    }
    const std::string zones = "/sys/class/thermal/";
    for (const std::string& zone : names_in(zones, "thermal_zone")) {
        OrderedJson one = {{"zone", zone}};
        put(one, "type", first_line(zones + zone + "/type"));
        put(one, "millidegrees", first_line(zones + zone + "/temp"));
        sensors["thermal"].push_back(one);
    }
    const std::string supplies = "/sys/class/power_supply/";
    for (const std::string& supply : names_in(supplies, "")) {
        OrderedJson one = {{"supply", supply}};
        for (const char* name : {"type", "status", "capacity", "temp", "online"}) {
            put(one, name, first_line(supplies + supply + "/" + name));
        }
        sensors["power"].push_back(one);
    }
    put(sensors, "loadavg", first_line("/proc/loadavg"));
    // jiffies: user nice system idle iowait irq softirq steal, for all processors and each
    const std::string stat = whole("/proc/stat");
    for (size_t start = 0; start < stat.size() && stat.compare(start, 3, "cpu") == 0;) {
        const size_t end = std::min(stat.find('\n', start), stat.size());
        sensors["jiffies"].push_back(stat.substr(start, end - start));
        start = end + 1;
    }
    return sensors;
}

std::vector<int> allowed_cpus() {
    cpu_set_t set;
    std::vector<int> cpus;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
    return cpus;
}

void pin_to_cpu(int cpu) {
    std::string allowed;
    for (const int one : allowed_cpus()) allowed += (allowed.empty() ? "" : ", ") + std::to_string(one);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        throw UsageError("--cpu " + std::to_string(cpu) + ": the system refuses to pin to it (" + std::strerror(errno) +
                         "); allowed are " + allowed);
    }
}

int current_cpu() { return sched_getcpu(); }

long cpu_khz(int cpu) {
    return std::atol(first_line(kCpus + "cpu" + std::to_string(cpu) + "/cpufreq/scaling_cur_freq").c_str());
}

OrderedJson read_usage() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    return {{"user_s", seconds(usage.ru_utime)},
            {"system_s", seconds(usage.ru_stime)},
            {"page_faults", usage.ru_minflt + usage.ru_majflt},
            {"switched_out_itself", usage.ru_nvcsw},
            {"switched_out_by_others", usage.ru_nivcsw},
            {"most_memory_kib", usage.ru_maxrss}};
}

}  // namespace pocketdet
