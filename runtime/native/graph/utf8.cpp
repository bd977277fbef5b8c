#include "utf8.h"

#include <algorithm>
#include <iterator>

namespace pocketdet {

namespace {

struct Range {
    uint32_t first, last;
};

constexpr Range kUnprintable[] = {
    {0x0, 0x1f},         {0x7f, 0x9f},       {0xad, 0xad},       {0x600, 0x605},     {0x61c, 0x61c},
    {0x6dd, 0x6dd},      {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},     {0x180e, 0x180e},
    {0x200b, 0x200f},    {0x2028, 0x202e},   {0x2060, 0x2064},   {0x2066, 0x206f},   {0xd800, 0xf8ff},
    {0xfdd0, 0xfdef},    {0xfeff, 0xfeff},   {0xfff9, 0xfffb},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd},
    {0x13430, 0x13438},  {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0001, 0xe0001}, {0xe0020, 0xe007f},
    {0xf0000, 0x10ffff},
};

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0u) == 0x80u; }

// Bytes of a sequence by its first byte, 0 for one that starts none.
size_t length_of(unsigned char first) {
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return 2;
    if (first >= 0xe0 && first <= 0xef) return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

}  // namespace

size_t find_invalid_utf8(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
        const size_t start = i;
        const size_t length = length_of(static_cast<unsigned char>(text[i]));
        if (length == 0 || length > text.size() - i) return start;
        for (size_t k = 1; k < length; ++k) {
            if (!is_continuation(text[i + k])) return start;
        }
        const uint32_t character = next_character(text, i);
        const bool is_overlong = (length == 3 && character < 0x800) || (length == 4 && character < 0x10000);
        if (is_overlong || (character >= 0xd800 && character <= 0xdfff) || character > 0x10ffff) return start;
    }
    return std::string_view::npos;
}

uint32_t next_character(std::string_view text, size_t& position) {
    const auto first = static_cast<unsigned char>(text[position++]);
    if (first < 0x80) return first;
    uint32_t character = first & (first >= 0xf0 ? 0x07u : first >= 0xe0 ? 0x0fu : 0x1fu);
    while (position < text.size() && is_continuation(text[position])) {
        character = character << 6 | (static_cast<unsigned char>(text[position++]) & 0x3fu);
    }
    return character;
}

size_t count_characters(std::string_view text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

std::string_view first_characters(std::string_view text, size_t count) {
    size_t end = 0;
    while (end < text.size() && count-- > 0) next_character(text, end);
    return text.substr(0, end);
}

bool is_unprintable(uint32_t character) {
    if ((character & 0xfffeu) == 0xfffeu) return true;
    const auto* range = std::upper_bound(std::begin(kUnprintable), std::end(kUnprintable), character,
                                         [](uint32_t c, const Range& r) { return c < r.first; });
    return range != std::begin(kUnprintable) && character <= std::prev(range)->last;
}

bool has_unprintable(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
        if (is_unprintable(next_character(text, i))) return true;
    }
    return false;
}

}  // namespace pocketdet
