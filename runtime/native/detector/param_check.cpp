#include "param_check.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>

#include "errors.h"
#include "layer_types.h"
#include "json_fields.h"

namespace pocketdet {

namespace {

constexpr const char* kMagic = "7767517";
constexpr size_t kMaxTextBytes = size_t{8} << 20;
constexpr size_t kMaxNameBytes = 255;
constexpr size_t kMaxNumberBytes = 127;
constexpr int kMaxLayers = 20'000;
constexpr int kMaxBlobs = 40'000;
constexpr int kMaxParamId = 31;
constexpr int kArrayBase = -23300;
constexpr int kFeatureMask = 31;
constexpr int kNoHalves = 2, kNoBfloat = 4;  // get_masked_option in ncnn's net.cpp

using Words = std::vector<std::string>;

Words words_of(const std::string& line) {
    Words words;
    size_t start = 0;
    while ((start = line.find_first_not_of(" \t", start)) != std::string::npos) {
        const size_t end = std::min(line.find_first_of(" \t", start), line.size());
        words.push_back(line.substr(start, end - start));
        start = end;
    }
    return words;
}

// A whole number in digits alone, or -1.
int count_of(const std::string& word) {
    if (word.empty() || word.size() > 7 || word.find_first_not_of("0123456789") != std::string::npos) return -1;
    return std::atoi(word.c_str());
}

// One number as ncnn writes them: an int of 32 bits, or a float. False for anything else.
bool is_number(const std::string& word, bool& is_float) {
    if (word.empty() || word.size() > kMaxNumberBytes) return false;
    if (word.find_first_not_of("+-.0123456789eE") != std::string::npos) return false;
    is_float = word.find_first_of(".eE") != std::string::npos;
    char* end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    if (*end != '\0') return false;
    if (is_float) return std::fabs(value) <= 3.4028235e38;
    return value >= -2147483648.0 && value <= 2147483647.0;
}

bool is_control(char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7f; }

struct Maker {
    std::string type;
    int mask;
};

class Checker {
public:
    Checker(const std::string& label, bool has_int8, const std::function<bool(const std::string&)>& layer_exists)
        : label_(label), has_int8_(has_int8), layer_exists_(layer_exists) {}

    void header(const Words& magic, const Words& counts) {
        if (magic.size() != 1 || magic[0] != kMagic) fail("expected the ncnn magic 7767517");
        declared_layers_ = counts.size() == 2 ? count_of(counts[0]) : -1;
        declared_blobs_ = counts.size() == 2 ? count_of(counts[1]) : -1;
        const bool has_layers = declared_layers_ >= 1 && declared_layers_ <= kMaxLayers;
        if (!has_layers || declared_blobs_ < 1 || declared_blobs_ > kMaxBlobs) {
            fail("expected the counts of layers and blobs, at most " + std::to_string(kMaxLayers) + " and " +
                 std::to_string(kMaxBlobs));
        }
    }

    void layer(const Words& words) {
        const int inputs = words.size() < 4 ? -1 : count_of(words[2]);
        const int outputs = words.size() < 4 ? -1 : count_of(words[3]);
        if (inputs < 0 || outputs < 0) fail("expected 'type name input_count output_count ...'");
        const size_t blobs_end = 4 + static_cast<size_t>(inputs) + static_cast<size_t>(outputs);
        if (words.size() < blobs_end) fail("more blob names are declared than are there");
        name_ = words[0] + " '" + words[1].substr(0, 60) + "'";
        for (size_t i = 0; i < blobs_end; ++i) {
            if (words[i].size() > kMaxNameBytes) fail("a name is longer than 255 bytes");
        }
        if (!layer_exists_(words[0])) fail("the ncnn of this program has no layer type " + words[0]);
        if (!layers_.insert(words[1]).second) fail("has the name of an earlier layer");
        check_count("input", inputs, inputs_of(words[0]));
        check_count("output", outputs, outputs_of(words[0]));
        for (size_t i = 4; i < 4 + static_cast<size_t>(inputs); ++i) read_blob(words[i]);
        for (size_t i = 4 + static_cast<size_t>(inputs); i < blobs_end; ++i) make_blob(words[i]);
        if (words[0] == "Input") inputs_.insert(words[4]);
        std::set<int> seen;
        int mask = 0;
        for (size_t i = blobs_end; i < words.size(); ++i) {
            if (parameter(words[i], seen) == kFeatureMask) mask = count_of(words[i].substr(words[i].find('=') + 1));
        }
        if (mask < 0 || mask > 255) fail("the feature mask must be 0..255");
        for (size_t i = 4; i < 4 + static_cast<size_t>(inputs); ++i) check_mask(words[i], mask);
        for (size_t i = 4 + static_cast<size_t>(inputs); i < blobs_end; ++i) makers_[words[i]] = {words[0], mask};
        if (!has_int8_ && seen.count(int8_scale_term(words[0]))) {  // ncnn crashes where the weights are not int8 too
            fail("is int8, and the manifest says that no weights are");
        }
        name_.clear();
    }

    void ends(const GraphSpec& spec) {
        line_ = 0;
        if (static_cast<int>(layers_.size()) != declared_layers_ || static_cast<int>(made_.size()) != declared_blobs_) {
            fail("the header declares " + std::to_string(declared_layers_) + " layers and " +
                 std::to_string(declared_blobs_) + " blobs, the file has " + std::to_string(layers_.size()) + " and " +
                 std::to_string(made_.size()));
        }
        if (inputs_ != std::set<std::string>{spec.input.blob}) {
            fail("expected one input '" + spec.input.blob + "', found others");
        }
        for (const TensorSpec& output : spec.outputs) {
            if (!made_.count(output.blob)) fail("has no blob '" + output.blob + "'");
            if (read_.count(output.blob)) fail("its output '" + output.blob + "' is read by a layer");
        }
    }

    [[noreturn]] void fail(const std::string& problem) const {
        const std::string place = line_ > 0 ? " line " + std::to_string(line_) : "";
        throw GraphError(label_ + place + ": " + (name_.empty() ? "" : name_ + " ") + problem);
    }

    int line_ = 0;

private:
    void check_count(const char* what, int found, Count expected) const {
        if (found >= expected.least && found <= expected.most) return;
        const std::string most = expected.most == expected.least ? "" : " to " + std::to_string(expected.most);
        fail("has " + std::to_string(found) + " " + what + "s, expected " + std::to_string(expected.least) + most);
    }

    void read_blob(const std::string& blob) {
        if (!made_.count(blob)) fail("reads the blob '" + blob + "', which no earlier layer makes");
        // ncnn releases a blob after its first reader
        if (!read_.insert(blob).second) fail("reads the blob '" + blob + "', which is read already; a Split is needed");
    }

    void make_blob(const std::string& blob) {
        if (!made_.insert(blob).second) fail("makes the blob '" + blob + "' a second time");
    }

    int parameter(const std::string& word, std::set<int>& seen) const {
        const size_t equals = word.find('=');
        bool is_float = false;
        if (equals == std::string::npos || !is_number(word.substr(0, equals), is_float) || is_float) {
            fail("cannot read a parameter at '" + word.substr(0, 40) + "', expected id=value");
        }
        const int id = std::atoi(word.c_str());
        const bool is_array = id <= kArrayBase;
        const int key = is_array ? kArrayBase - id : id;
        if (key < 0 || key > kMaxParamId) fail("parameter id " + std::to_string(id) + " is outside 0..31");
        if (!seen.insert(key).second) fail("parameter " + std::to_string(key) + " is given twice");
        values(key, is_array, word.substr(equals + 1));
        return key;
    }

    // A layer without 16-bit storage reads floats, and ncnn hands it whatever the layer before has made: out of bounds,
    // where those are halves. See runtime/ncnn_graph/feature_mask.py.
    void check_mask(const std::string& blob, int mask) const {
        const Maker& maker = makers_.at(blob);
        for (const int without : {kNoHalves, kNoBfloat}) {
            if ((mask & without) == 0 || maker.type == "Input" || (maker.mask & without) != 0) continue;
            if (without == kNoHalves && maker.type == "Dropout") continue;
            fail("its feature mask " + std::to_string(mask) + " forbids 16-bit storage and its input '" + blob +
                 "' may be in it, which ncnn reads out of bounds");
        }
    }

    // "n,a,b" of an old array, or "a" or "a,b"; all of one type.
    void values(int key, bool is_array, const std::string& text) const {
        const std::string where = "parameter " + std::to_string(key);
        std::vector<std::string> parts(1);
        for (const char c : text) {
            if (c == ',') {
                parts.emplace_back();
            } else {
                parts.back() += c;
            }
        }
        bool is_float = false;
        if (is_array && count_of(parts[0]) != static_cast<int>(parts.size()) - 1) {
            fail(where + ": a wrong array length");
        }
        bool first_is_float = false;
        for (size_t i = is_array ? 1 : 0; i < parts.size(); ++i) {
            if (!is_number(parts[i], is_float)) fail(where + ": '" + parts[i].substr(0, 40) + "' is not a number");
            if (i == (is_array ? 1u : 0u)) first_is_float = is_float;
            if (is_float != first_is_float) fail(where + ": the array mixes ints and floats, which ncnn misreads");
        }
    }

    const std::string& label_;
    bool has_int8_;
    const std::function<bool(const std::string&)>& layer_exists_;
    std::string name_;
    int declared_layers_ = 0, declared_blobs_ = 0;
    std::set<std::string> layers_, made_, read_, inputs_;
    std::map<std::string, Maker> makers_;
};

}  // namespace

void check_param(const std::string& text, const GraphSpec& spec, const std::string& label,
                 const std::function<bool(const std::string&)>& layer_exists) {
    Checker checker(label, spec.has_int8, layer_exists);
    if (text.size() > kMaxTextBytes) checker.fail("is larger than a .param file may be");
    if (!is_utf8(text)) checker.fail("is not text; is this a binary file?");
    Words magic;
    int filled = 0;
    for (size_t start = 0; start < text.size();) {
        const size_t end = std::min(text.find('\n', start), text.size());
        std::string line = text.substr(start, end - start);
        start = end + 1;
        ++checker.line_;
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (std::any_of(line.begin(), line.end(), is_control)) checker.fail("holds a control character");
        const Words words = words_of(line);
        if (words.empty()) continue;
        ++filled;
        if (filled == 1) magic = words;
        if (filled == 2) checker.header(magic, words);
        if (filled > 2) checker.layer(words);
    }
    if (filled < 2) checker.fail("expected an ncnn graph, found no header");
    checker.ends(spec);
}

}  // namespace pocketdet
