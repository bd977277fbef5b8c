// A line of a graph's text: one layer of ncnn.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <vector>

namespace pocketdet {

// Parameters by their numbers. A value that is no plain integer, such as an array, is `kOther`.
struct LayerLine {
    static constexpr int kOther = -(1 << 30);

    explicit LayerLine(const std::string& text);

    int get(int id, int otherwise) const;
    // Whether every parameter that is given is one of these.
    bool has_only(std::initializer_list<int> ids) const;
    // The elements of a parameter that is an array, or its one value; empty if it is not given.
    std::vector<float> numbers(int id) const;
    // Whether a parameter is given as in `text`, such as "-23311=1,0".
    bool has(const std::string& text) const;

    std::string type, name;
    std::vector<std::string> inputs, outputs;  // blobs
    std::map<int, int> params;
    std::vector<std::string> words;  // of the parameters
    bool is_end = false;             // no layer of the graph reads the outputs, if the graph was looked at
};

}  // namespace pocketdet
