#include "json_fields.h"

#include <algorithm>

#include "errors.h"
#include "utf8.h"

namespace pocketdet {

namespace {

constexpr int kMaxDepth = 32;

std::string abbreviated(const Json& value) {
    std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (has_unprintable(text)) text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
    return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

std::string in_range(const char* kind, double low, double high) {
    char text[96];
    std::snprintf(text, sizeof text, "%s from %.10g to %.10g", kind, low, high);
    return text;
}

}  // namespace

Json parse_json(const std::vector<uint8_t>& data, const std::string& label) {
    // the parser takes a zero byte for the end of the text, and skips a byte order mark
    const bool has_mark = data.size() >= 3 && data[0] == 0xef && data[1] == 0xbb && data[2] == 0xbf;
    if (has_mark || std::find(data.begin(), data.end(), uint8_t{0}) != data.end()) {
        throw BundleError(label + ": expected JSON, found something else: a " +
                          (has_mark ? "byte order mark" : "zero byte"));
    }
    std::vector<std::set<std::string>> open_objects;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (depth > kMaxDepth) throw BundleError(label + ": expected JSON of few levels, found it nested too deeply");
        if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
        if (event == Json::parse_event_t::object_end) open_objects.pop_back();
        if (event == Json::parse_event_t::key && !open_objects.back().insert(parsed.get<std::string>()).second) {
            throw BundleError(label + ": field " + abbreviated(parsed) + " appears twice");
        }
        return true;
    };
    try {
        return Json::parse(data.begin(), data.end(), watch);
    } catch (const Json::exception& error) {
        std::string reason = std::string(error.what()).substr(0, 200);
        for (char& c : reason) {
            if (static_cast<unsigned char>(c) < ' ') c = ' ';
            if (static_cast<unsigned char>(c) > 0x7e) c = '?';  // it quotes single bytes
        }
        throw BundleError(label + ": expected JSON, found something else: " + reason);
    }
}

void Field::fail(const std::string& expected) const {
    throw BundleError(*label_ + ": field '" + path_.substr(0, 200) + "': expected " + expected + ", found " +
                      abbreviated(*value_));
}

int64_t Field::integer(int64_t low, int64_t high) const {
    const std::string expected = in_range("a whole number", static_cast<double>(low), static_cast<double>(high));
    if (!value_->is_number_integer()) fail(expected);
    if (value_->is_number_unsigned() && value_->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) fail(expected);
    const int64_t number = value_->get<int64_t>();
    if (number < low || number > high) fail(expected);
    return number;
}

double Field::number(double low, double high) const {
    if (!value_->is_number()) fail(in_range("a number", low, high));
    const double number = value_->get<double>();
    if (!(number >= low && number <= high)) fail(in_range("a number", low, high));
    return number;
}

bool Field::boolean() const {
    if (!value_->is_boolean()) fail("true or false");
    return value_->get<bool>();
}

std::string Field::text(size_t low, size_t high) const {
    const std::string expected = "a string of " + std::to_string(low) + " to " + std::to_string(high) + " characters";
    if (!value_->is_string()) fail(expected);
    const std::string& text = value_->get_ref<const std::string&>();
    const size_t characters = count_characters(text);
    if (characters < low || characters > high) fail(expected);
    return text;
}

std::string Field::name() const {
    const std::string name = text(1, 200);
    if (has_unprintable(name)) fail("no control characters and others that cannot be shown");
    return name;
}

std::string Field::one_of(std::initializer_list<const char*> choices) const {
    std::string expected;
    for (const char* choice : choices) {
        if (value_->is_string() && value_->get_ref<const std::string&>() == choice) return choice;
        expected += (expected.empty() ? "'" : " or '") + std::string(choice) + "'";
    }
    fail(expected);
}

std::vector<Field> Field::list(size_t low, size_t high) const {
    if (!value_->is_array() || value_->size() < low || value_->size() > high) {
        fail("a list of " + std::to_string(low) + " to " + std::to_string(high) + " elements");
    }
    std::vector<Field> elements;
    for (size_t i = 0; i < value_->size(); ++i) {
        elements.emplace_back((*value_)[i], path_ + "[" + std::to_string(i) + "]", *label_);
    }
    return elements;
}

Record::Record(const Field& field) : field_(field) {
    if (!field.value_->is_object()) field.fail("an object");
}

Field Record::need(const std::string& name) {
    known_.insert(name);
    const auto found = field_.value_->find(name);
    const std::string path = field_.path_.empty() ? name : field_.path_ + "." + name;
    if (found == field_.value_->end()) throw BundleError(*field_.label_ + ": field '" + path + "' is missing");
    return Field(*found, path, *field_.label_);
}

std::optional<Field> Record::maybe(const std::string& name) {
    if (field_.value_->contains(name)) return need(name);
    return std::nullopt;
}

bool Record::has(const std::string& name) {
    const std::optional<Field> field = maybe(name);
    return field && !field->is_null();
}

void Record::finish() const {
    for (const auto& item : field_.value_->items()) {
        if (known_.count(item.key())) continue;
        const std::string path = field_.path_.empty() ? item.key() : field_.path_ + "." + item.key();
        throw BundleError(*field_.label_ + ": field '" + path.substr(0, 200) + "' is unknown in this schema version");
    }
}

}  // namespace pocketdet
