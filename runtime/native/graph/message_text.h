// Names, numbers and shapes in messages, written as Python's repr() writes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pocketdet::graph {

// 'text' in quotes, characters that cannot be shown escaped; at most about 80 characters.
std::string quoted(std::string_view text);
// Only the first `count` characters of the text.
std::string quoted(std::string_view text, size_t count);
// The same without quotes.
std::string shown(std::string_view text);

// 1.5, 1e+30, nan
std::string number_text(double value);
// (3, 32, 32) and (8,); [3, 32, 32]. Long ones are cut off.
std::string tuple_text(const std::vector<int64_t>& values);
std::string tuple_text(const std::vector<double>& values);
std::string list_text(const std::vector<int64_t>& values);
std::string list_text(const std::vector<std::vector<int64_t>>& tuples);
std::string list_text(const std::vector<std::string>& names);

}  // namespace pocketdet::graph
