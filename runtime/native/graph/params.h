// The id=value fields of a .param line, parsed as ncnn parses them.
//
// ncnn decides a value's type from its text alone: a '.', 'e' or 'E' makes a float, a leading letter or quote a string,
// anything else an int; "-233XX=n,a,b" and "XX=a,b" are both arrays of parameter XX. A layer that asks for an int and
// finds a float silently gets the default, so the type is part of the value here and never converted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pocketdet::graph {

constexpr int kMaxParamId = 31;

using Integers = std::vector<int64_t>;
using Reals = std::vector<double>;
// Integers fit 32 bits.
using Value = std::variant<int64_t, double, std::string, Integers, Reals>;

struct Param {
    int id;
    Value value;
    std::string text;  // the field as it was written
};

// What follows the blob names on a layer's line. Throws GraphError, without a place in its message, on anything that
// ncnn would refuse or misread.
std::vector<Param> parse_params(std::string_view text);

// A value as Python's repr() writes it, for messages.
std::string value_text(const Value& value);

}  // namespace pocketdet::graph
