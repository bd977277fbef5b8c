// What the readers of both kinds of manifest share.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "json_fields.h"
#include "manifest.h"

namespace pocketdet {

inline std::string load_text(const Field& field) { return field.name(); }

inline int load_int(const Field& field, int low, int high) { return static_cast<int>(field.integer(low, high)); }

inline float load_unit_interval(const Field& field) { return static_cast<float>(field.number(0, 1)); }

// The bounds of runtime/bundle/schema.py keep every number finite, and every divisor above zero, as float32.
inline float load_positive(const Field& field) { return static_cast<float>(field.number(1e-6, 1e6)); }

template <size_t count, typename Convert>
auto load_tuple(const Field& field, Convert convert) {
    std::array<decltype(convert(field)), count> values{};
    const std::vector<Field> elements = field.list(count, count);
    for (size_t i = 0; i < count; ++i) values[i] = convert(elements[i]);
    return values;
}

// A map from names to strings that this program has no use for, checked all the same.
void check_notes(const Field& field, size_t most);

struct ManifestReader {
    int version;
    const std::string& label;        // of the file, in messages
    std::vector<std::string> paths;  // named by the fields read so far

    GraphSpec graph(const Field& field);
};

// "(RoIs, 245)"
std::string tensor_shape(const std::vector<int>& shape);

// The parts of each kind, taken from the record of the whole manifest, whose common fields are read already.
TwoStageParts load_two_stage(Record& record, const Manifest& manifest, ManifestReader& reader);
OneStageParts load_one_stage(Record& record, const Manifest& manifest, ManifestReader& reader);

}  // namespace pocketdet
