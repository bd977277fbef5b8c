#include "params.h"

#include <cmath>
#include <locale>
#include <optional>
#include <sstream>

#include "graph_error.h"
#include "message_text.h"
#include "utf8.h"

namespace pocketdet::graph {

namespace {

constexpr int64_t kOldArrayBase = -23300;
constexpr size_t kMaxIdDigits = 14;
constexpr size_t kMaxNumberBytes = 127;
constexpr size_t kMaxStringBytes = 255;
constexpr int64_t kIntMin = -2147483648LL, kIntMax = 2147483647LL;
constexpr double kFloatMax = 3.4028235e38;
constexpr size_t kShown = 40;

using Scalar = std::variant<int64_t, double>;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_blank(char c) { return c == ' ' || c == '\t'; }

size_t skip_sign(std::string_view text, size_t at) {
    return at < text.size() && (text[at] == '+' || text[at] == '-') ? at + 1 : at;
}

size_t skip_digits(std::string_view text, size_t at) {
    while (at < text.size() && is_digit(text[at])) ++at;
    return at;
}

bool is_int(std::string_view text) {
    const size_t start = skip_sign(text, 0);
    return start < text.size() && skip_digits(text, start) == text.size();
}

// [+-] digits [. digits] or [+-] . digits, then e [+-] digits
bool is_float(std::string_view text) {
    const size_t start = skip_sign(text, 0);
    size_t at = skip_digits(text, start);
    const bool has_whole = at > start;
    if (at < text.size() && text[at] == '.') {
        const size_t fraction = at + 1;
        at = skip_digits(text, fraction);
        if (!has_whole && at == fraction) return false;
    } else if (!has_whole) {
        return false;
    }
    if (at == text.size()) return true;
    if (text[at] != 'e' && text[at] != 'E') return false;
    const size_t exponent = skip_sign(text, at + 1);
    return exponent < text.size() && skip_digits(text, exponent) == text.size();
}

// The integer of is_int() text; nothing where it does not fit 64 bits.
std::optional<int64_t> int_of(std::string_view text) {
    int64_t value = 0;
    for (const char c : text.substr(skip_sign(text, 0))) {
        if (value > (INT64_MAX - 9) / 10) return std::nullopt;
        value = 10 * value + (c - '0');
    }
    return text[0] == '-' ? -value : value;
}

[[noreturn]] void fail(int id, const std::string& problem) {
    throw GraphError("parameter " + std::to_string(id) + ": " + problem);
}

std::string start_of(std::string_view text) { return std::string(first_characters(text, kShown)); }

double real_of(int id, std::string_view text) {
    if (text.size() > kMaxNumberBytes || !is_float(text)) fail(id, quoted(text, kShown) + " is not a number");
    std::istringstream stream{std::string(text)};
    stream.imbue(std::locale::classic());
    double value = 0;
    stream >> value;  // its grammar is checked; out of range it is the largest number
    if (!(std::fabs(value) <= kFloatMax)) fail(id, start_of(text) + " is beyond the range of a 32-bit float");
    return value;
}

Scalar number_of(int id, std::string_view text) {
    if (text.size() > kMaxNumberBytes || !is_int(text)) return real_of(id, text);
    const std::optional<int64_t> value = int_of(text);
    if (!value || *value < kIntMin || *value > kIntMax) fail(id, start_of(text) + " does not fit 32 bits");
    return *value;
}

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> parts;
    for (size_t start = 0;;) {
        const size_t comma = text.find(',', start);
        parts.push_back(text.substr(start, comma - start));
        if (comma == std::string_view::npos) return parts;
        start = comma + 1;
    }
}

Value array_of(int id, const std::vector<std::string_view>& parts, size_t first) {
    Integers integers;
    Reals reals;
    for (size_t i = first; i < parts.size(); ++i) {
        const Scalar number = number_of(id, parts[i]);
        if (const auto* whole = std::get_if<int64_t>(&number)) integers.push_back(*whole);
        if (const auto* real = std::get_if<double>(&number)) reals.push_back(*real);
    }
    if (!integers.empty() && !reals.empty()) fail(id, "the array mixes ints and floats, which ncnn misreads");
    if (reals.empty()) return integers;
    return reals;
}

Value old_array_of(int id, std::string_view text) {
    const std::vector<std::string_view> parts = split(text);
    const std::string_view count = parts[0];
    const bool is_count = count.size() <= kMaxNumberBytes && is_int(count);
    if (!is_count || int_of(count) != static_cast<int64_t>(parts.size()) - 1) {
        fail(id, "the array says " + quoted(count, 20) + " elements and has " + std::to_string(parts.size() - 1));
    }
    return array_of(id, parts, 1);
}

Value string_of(int id, std::string_view text) {
    if (text.size() > kMaxStringBytes) fail(id, "a string longer than 255 bytes");
    return std::string(text);
}

Value value_of(int id, std::string_view text) {
    if (!text.empty() && text[0] == '"') return string_of(id, text.substr(1, text.size() - 2));
    if (!text.empty() && is_letter(text[0])) return string_of(id, text);
    std::vector<std::string_view> parts = split(text);
    if (parts.size() == 1) return std::visit([](auto number) -> Value { return number; }, number_of(id, text));
    if (parts.size() == 2 && parts[1].empty()) parts.pop_back();
    if (std::holds_alternative<int64_t>(number_of(id, parts[0]))) return array_of(id, parts, 0);
    Reals reals;
    for (const std::string_view part : parts) reals.push_back(real_of(id, part));
    return reals;
}

struct Field {
    std::string_view id, value, whole;
};

// The field at `at`, which is moved behind it; nothing where there is none.
std::optional<Field> next_field(std::string_view text, size_t& at) {
    size_t start = at;
    while (start < text.size() && is_blank(text[start])) ++start;
    const size_t digits = skip_sign(text, start);
    const size_t equals = skip_digits(text, digits);
    if (equals == digits || equals - digits > kMaxIdDigits || equals >= text.size() || text[equals] != '=') return {};
    const size_t first = equals + 1;
    size_t end = first;
    if (first < text.size() && text[first] == '"') {
        const size_t quote = text.find('"', first + 1);
        if (quote == std::string_view::npos) return {};
        end = quote + 1;
    } else {
        while (end < text.size() && !is_blank(text[end]) && text[end] != '"') ++end;
    }
    if (end < text.size() && !is_blank(text[end])) return {};
    at = end;
    return Field{text.substr(start, equals - start), text.substr(first, end - first), text.substr(start, end - start)};
}

std::string_view without_blanks(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

}  // namespace

std::vector<Param> parse_params(std::string_view text) {
    std::vector<Param> params;
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    uint32_t seen = 0;
    for (size_t at = 0; at < text.size();) {
        const std::optional<Field> field = next_field(text, at);
        if (!field) {
            throw GraphError("cannot read a parameter at " + quoted(without_blanks(text.substr(at)), kShown) +
                             ", expected id=value");
        }
        const int64_t written_id = *int_of(field->id);
        const bool is_old_array = written_id <= kOldArrayBase;
        const int64_t key = is_old_array ? kOldArrayBase - written_id : written_id;
        if (key < 0 || key > kMaxParamId) {
            throw GraphError("parameter id " + std::to_string(written_id) + " is outside 0..31");
        }
        const int id = static_cast<int>(key);
        if ((seen >> id & 1u) != 0) throw GraphError("parameter " + std::to_string(id) + " is given twice");
        seen |= 1u << id;
        Value value = is_old_array ? old_array_of(id, field->value) : value_of(id, field->value);
        params.push_back({id, std::move(value), std::string(field->whole)});
    }
    return params;
}

std::string value_text(const Value& value) {
    if (const auto* whole = std::get_if<int64_t>(&value)) return std::to_string(*whole);
    if (const auto* real = std::get_if<double>(&value)) return number_text(*real);
    if (const auto* text = std::get_if<std::string>(&value)) return quoted(*text);
    if (const auto* integers = std::get_if<Integers>(&value)) return tuple_text(*integers);
    return tuple_text(std::get<Reals>(value));
}

}  // namespace pocketdet::graph
