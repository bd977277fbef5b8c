#include "param_text.h"

#include <algorithm>

#include "graph_error.h"
#include "message_text.h"
#include "utf8.h"

namespace pocketdet::graph {

namespace {

constexpr std::string_view kMagic = "7767517";
constexpr std::string_view kBlanks = " \t", kSpaces = " \t\r\n";
constexpr size_t kMaxNameBytes = 255;
constexpr int64_t kMaxCount = 1'000'000;
constexpr size_t kMaxCountDigits = 7;
constexpr size_t kHeaderLines = 64;

using Words = std::vector<std::string_view>;

// The next word from `at`, which is moved behind it; empty at the end.
std::string_view next_word(std::string_view text, std::string_view separators, size_t& at) {
    const size_t start = std::min(text.find_first_not_of(separators, at), text.size());
    at = std::min(text.find_first_of(separators, start), text.size());
    return text.substr(start, at - start);
}

Words words_of(std::string_view line) {
    Words words;
    size_t at = 0;
    for (std::string_view word; !(word = next_word(line, kSpaces, at)).empty();) words.push_back(word);
    return words;
}

// A count in digits alone, or -1.
int64_t count_of(std::string_view word) {
    if (word.empty() || word.size() > kMaxCountDigits) return -1;
    int64_t count = 0;
    for (const char c : word) {
        if (c < '0' || c > '9') return -1;
        count = 10 * count + (c - '0');
    }
    return count;
}

bool is_blank(std::string_view line) { return line.find_first_not_of(kSpaces) == std::string_view::npos; }

std::string at_line(const std::string& source, size_t number) { return source + " line " + std::to_string(number); }

void check_characters(std::string_view text, const std::string& source) {
    const size_t invalid = find_invalid_utf8(text);
    if (invalid != std::string_view::npos) {
        throw GraphError(source + ": not a text file (byte " + std::to_string(invalid) + "); a .param is expected");
    }
    if (text.size() > kMaxParamBytes && count_characters(text) > kMaxParamBytes) {
        throw GraphError(source + ": " + std::to_string(count_characters(text)) +
                         " characters are more than a .param file may have");
    }
    size_t number = 1;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\n') ++number;
        const bool ends_line = c == '\r' && i + 1 < text.size() && text[i + 1] == '\n';
        const bool is_control = (static_cast<unsigned char>(c) < ' ' && c != '\t' && c != '\n') || c == 0x7f;
        if (is_control && !ends_line) {
            throw GraphError(at_line(source, number) + ": a control character " + quoted(text.substr(i, 1)) +
                             "; is this a binary file?");
        }
    }
}

// Every line with its line end.
std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    for (size_t start = 0; start < text.size();) {
        const size_t end = text.find('\n', start);
        const size_t next = end == std::string_view::npos ? text.size() : end + 1;
        lines.push_back(text.substr(start, next - start));
        start = next;
    }
    return lines;
}

// Reads the magic and the counts; returns how many lines they take.
size_t read_header(const std::vector<std::string_view>& lines, const std::string& source, Header& header) {
    std::vector<size_t> filled;
    for (size_t i = 0; i < std::min(lines.size(), kHeaderLines) && filled.size() < 2; ++i) {
        if (!is_blank(lines[i])) filled.push_back(i);
    }
    const Words magic = filled.empty() ? Words{} : words_of(lines[filled[0]]);
    if (magic != Words{kMagic}) {
        std::string found = filled.empty() ? "an empty file" : "";
        for (const std::string_view word : magic) found += (found.empty() ? "" : " ") + std::string(word);
        throw GraphError(at_line(source, 1) + ": expected the ncnn magic 7767517, found " + quoted(found, 40));
    }
    const Words counts = filled.size() < 2 ? Words{} : words_of(lines[filled[1]]);
    header.declared_layers = counts.size() == 2 ? count_of(counts[0]) : -1;
    header.declared_blobs = counts.size() == 2 ? count_of(counts[1]) : -1;
    if (header.declared_layers < 0 || header.declared_blobs < 0) {
        throw GraphError(at_line(source, 2) + ": expected the counts of layers and blobs");
    }
    const auto is_sane = [](int64_t count) { return count >= 1 && count <= kMaxCount; };
    if (!is_sane(header.declared_layers) || !is_sane(header.declared_blobs)) {
        throw GraphError(at_line(source, 2) + ": counts must be 1.." + std::to_string(kMaxCount) + ", found " +
                         std::to_string(header.declared_layers) + " layers and " +
                         std::to_string(header.declared_blobs) + " blobs");
    }
    return filled[1] + 1;
}

std::string_view stripped(std::string_view text) {
    const size_t start = std::min(text.find_first_not_of(kSpaces), text.size());
    text.remove_prefix(start);
    return text.substr(0, text.find_last_not_of(kSpaces) + 1);
}

}  // namespace

ParamText read_param_text(std::string_view text, const std::string& source) {
    check_characters(text, source);
    ParamText result;
    result.graph.source = source;
    const std::vector<std::string_view> lines = lines_of(text);
    Header header{};
    const size_t header_lines = read_header(lines, source, header);
    size_t start = 0;
    for (size_t i = 0; i < header_lines; ++i) start += lines[i].size();
    result.header = text.substr(0, start);
    size_t end = start;
    for (size_t i = header_lines; i < lines.size(); ++i) {
        end += lines[i].size();
        if (is_blank(lines[i])) continue;
        result.lines.push_back(text.substr(start, end - start));
        result.graph.layers.push_back(read_layer(result.lines.back(), at_line(source, i + 1)));
        start = end;
    }
    result.trailer = text.substr(start);
    header.found_layers = static_cast<int64_t>(result.graph.layers.size());
    if (header.found_layers < header.declared_layers) {
        throw GraphError(source + ": the header declares " + std::to_string(header.declared_layers) +
                         " layers and the file has " + std::to_string(header.found_layers));
    }
    header.found_blobs = static_cast<int64_t>(result.graph.blob_names().size());
    result.graph.header = header;
    return result;
}

Layer read_layer(std::string_view text, const std::string& origin) {
    const std::string_view line = stripped(text);
    size_t at = 0;
    std::string_view head[4];
    for (std::string_view& word : head) word = next_word(line, kBlanks, at);
    const int64_t inputs = count_of(head[2]), outputs = count_of(head[3]);
    if (inputs < 0 || outputs < 0) {
        throw GraphError(origin + ": expected 'type name input_count output_count ...', found " + quoted(line, 60));
    }
    Layer layer;
    layer.type = head[0];
    layer.name = head[1];
    layer.origin = origin;
    for (int64_t i = 0; i < inputs + outputs; ++i) {
        const std::string_view name = next_word(line, kBlanks, at);
        if (name.empty()) {
            throw GraphError(origin + ": " + std::to_string(inputs + outputs) + " blob names are declared and " +
                             std::to_string(i) + " are there");
        }
        (i < inputs ? layer.inputs : layer.outputs).emplace_back(name);
    }
    const auto check_name = [&origin](std::string_view name) {
        if (name.size() <= kMaxNameBytes) return;
        throw GraphError(origin + ": the name " + quoted(name, 40) + "... is longer than 255 bytes");
    };
    check_name(layer.type);
    check_name(layer.name);
    std::for_each(layer.inputs.begin(), layer.inputs.end(), check_name);
    std::for_each(layer.outputs.begin(), layer.outputs.end(), check_name);
    try {
        layer.params = parse_params(line.substr(at));
    } catch (const GraphError& problem) {
        layer.fail(problem.what());
    }
    return layer;
}

}  // namespace pocketdet::graph
