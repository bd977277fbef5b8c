// Strict reading of a JSON object: every field is asked for once with its type and range, and what was not asked for
// is an error. Throws BundleError with one sentence that names the field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace pocketdet {

using Json = nlohmann::json;

// A document from untrusted bytes; refuses duplicate fields, deep nesting, and numbers that JSON does not have.
Json parse_json(const std::vector<uint8_t>& data, const std::string& label);

// A value and where it stands, with checked conversions. The document must outlive it.
class Field {
public:
    Field(const Json& value, std::string path, const std::string& label)
        : value_(&value), path_(std::move(path)), label_(&label) {}

    const Json& value() const { return *value_; }
    int64_t integer(int64_t low, int64_t high) const;
    double number(double low, double high) const;
    bool boolean() const;
    bool is_null() const { return value_->is_null(); }
    bool is_list() const { return value_->is_array(); }
    // A string of low to high characters.
    std::string text(size_t low, size_t high) const;
    // A string of 1 to 200 characters that can all be shown (is_unprintable in utf8.h).
    std::string name() const;
    std::string one_of(std::initializer_list<const char*> choices) const;
    // The elements of an array of low to high.
    std::vector<Field> list(size_t low, size_t high) const;
    [[noreturn]] void fail(const std::string& expected) const;

private:
    const Json* value_;
    std::string path_;
    const std::string* label_;
    friend class Record;
};

// An object whose fields are taken one after the other.
class Record {
public:
    explicit Record(const Field& field);

    Field need(const std::string& name);
    // Nothing where the field is missing.
    std::optional<Field> maybe(const std::string& name);
    // False where the field is missing or null.
    bool has(const std::string& name);
    // Throws if there are fields that nobody asked for.
    void finish() const;

private:
    Field field_;
    std::set<std::string> known_;
};

}  // namespace pocketdet
