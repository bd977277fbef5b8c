// UTF-8 text from untrusted files: whether it is valid, and which characters can be shown as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pocketdet {

// Byte position of the first invalid sequence (overlong, surrogate, beyond U+10FFFF, cut off), or npos.
size_t find_invalid_utf8(std::string_view text);

// The character at `position` of valid text, which is moved behind it.
uint32_t next_character(std::string_view text, size_t& position);

size_t count_characters(std::string_view text);

// The first `count` characters of valid text.
std::string_view first_characters(std::string_view text, size_t count);

// Whether a character is a control, format, surrogate, private use or separator character of Unicode 14 (categories
// Cc, Cf, Cs, Co, Zl, Zp), or no character (U+xxFFFE, U+xxFFFF, U+FDD0..U+FDEF).
bool is_unprintable(uint32_t character);

bool has_unprintable(std::string_view text);

}  // namespace pocketdet
