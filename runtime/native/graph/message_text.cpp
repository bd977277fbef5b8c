#include "message_text.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "utf8.h"

namespace pocketdet::graph {

namespace {

constexpr size_t kMostWritten = 80;
constexpr size_t kMostElements = 16;

// Space separators other than ' ' (category Zs): repr() escapes them too.
bool is_other_space(uint32_t c) {
    return c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f || c == 0x3000;
}

std::string escaped(uint32_t character) {
    char text[16];
    const char* format = character <= 0xff ? "\\x%02x" : character <= 0xffff ? "\\u%04x" : "\\U%08x";
    std::snprintf(text, sizeof text, format, character);
    return text;
}

std::string written(std::string_view text, char quote) {
    std::string result;
    for (size_t i = 0; i < text.size();) {
        if (result.size() >= kMostWritten) return result + "...";
        const size_t start = i;
        const uint32_t c = next_character(text, i);
        if (quote != '\0' && (c == static_cast<unsigned char>(quote) || c == '\\')) {
            result += '\\';
            result += static_cast<char>(c);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            result += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
        } else if (is_unprintable(c) || is_other_space(c)) {
            result += escaped(c);
        } else {
            result.append(text.substr(start, i - start));
        }
    }
    return result;
}

template <typename Values, typename Write>
std::string joined(const char* open, const Values& values, const char* close, Write write) {
    std::string text = open;
    size_t count = 0;
    for (const auto& value : values) {
        if (count == kMostElements) return text + ", ... " + std::to_string(values.size()) + " in all" + close;
        text += (count++ == 0 ? "" : ", ") + write(value);
    }
    return text + close;
}

std::string whole(int64_t value) { return std::to_string(value); }

}  // namespace

std::string quoted(std::string_view text) {
    const bool has_single = text.find('\'') != std::string_view::npos;
    const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
    return quote + written(text, quote) + quote;
}

std::string quoted(std::string_view text, size_t count) { return quoted(first_characters(text, count)); }

std::string shown(std::string_view text) { return written(text, '\0'); }

std::string number_text(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    char text[40];
    int digits = 1;
    do {
        std::snprintf(text, sizeof text, "%.*e", digits - 1, value);
    } while (std::strtod(text, nullptr) != value && ++digits <= 17);
    const int exponent = std::stoi(std::string(text).substr(std::string(text).find('e') + 1));
    const bool is_short = exponent >= -4 && exponent < 16;
    if (is_short) {
        const int decimals = digits - 1 - exponent;
        std::snprintf(text, sizeof text, "%.*f", decimals > 0 ? decimals : 1, value);
    }
    std::string result = text;
    for (char& c : result) {
        if (c == ',') c = '.';  // of the process's locale
    }
    return result;
}

std::string tuple_text(const std::vector<int64_t>& values) {
    return joined("(", values, values.size() == 1 ? ",)" : ")", whole);
}

std::string tuple_text(const std::vector<double>& values) {
    return joined("(", values, values.size() == 1 ? ",)" : ")", number_text);
}

std::string list_text(const std::vector<int64_t>& values) { return joined("[", values, "]", whole); }

std::string list_text(const std::vector<std::vector<int64_t>>& tuples) {
    return joined("[", tuples, "]", [](const std::vector<int64_t>& values) { return tuple_text(values); });
}

std::string list_text(const std::vector<std::string>& names) {
    return joined("[", names, "]", [](const std::string& name) { return quoted(name); });
}

}  // namespace pocketdet::graph
