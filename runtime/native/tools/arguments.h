// The command line of pocketdet-run: options as --name VALUE or --name=VALUE, everything else in order.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "detector.h"

namespace pocketdet {

// What --precision takes.
constexpr const char* kPrecisions = "fp32|fp16-storage|fp16|bf16-storage";

struct OptionSpec {
    const char* name;   // without the dashes
    const char* value;  // what to call its value in the help; empty for a switch
    const char* help;
};

constexpr OptionSpec kNcnnLayersOption = {"ncnn-layers", "", "ncnn computes every layer, without our own kernels"};
constexpr OptionSpec kSizeOption = {"size", "SIDE|HEIGHTxWIDTH", "an input size of the bundle (its first)"};

class Arguments {
public:
    // `args` are the words after the name of the command. Throws UsageError for an option that is not in `options`,
    // twice there, or without its value.
    Arguments(const std::string& command, const std::vector<std::string>& args, const std::vector<OptionSpec>& options);

    const std::vector<std::string>& positional() const { return positional_; }
    bool has(const std::string& name) const { return values_.count(name) != 0; }
    std::string text(const std::string& name, const std::string& otherwise) const;
    // Throw UsageError for text that is not a number in the range.
    std::optional<int> integer(const std::string& name, int low, int high) const;
    std::optional<double> number(const std::string& name, double low, double high) const;
    // One of the choices, or the first where the option is not given.
    std::string choice(const std::string& name, const std::vector<std::string>& choices) const;
    [[noreturn]] void fail(const std::string& problem) const;

private:
    std::string command_;
    std::vector<std::string> positional_;
    std::map<std::string, std::string> values_;
};

// A command's own options, and then those of every command that runs a bundle.
std::vector<OptionSpec> with_detector_options(std::vector<OptionSpec> own);
DetectorOptions detector_options(const Arguments& arguments);

// The input size of the bundle that is asked for, if any. Throws UsageError.
std::optional<Size> input_size(const Arguments& arguments);

// The lines of a help text that list options.
std::string help_lines(const std::vector<OptionSpec>& options);

}  // namespace pocketdet
