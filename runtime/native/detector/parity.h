// How far one array is from another, and how far it may be (runtime/parity.py).
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace pocketdet {

struct Check {
    std::string name;
    std::vector<size_t> shape;
    double max_abs = 0;
    std::optional<double> snr_db;  // nothing where nothing differs
    double cosine = 0;
    double tolerance = 0;  // absolute
    bool ok = false;
    std::string note;
};

struct Tolerance {
    double relative = 0;  // to the largest magnitude of the reference
    double absolute = 0;
    std::optional<double> least_snr_db = std::nullopt;  // the least power of the reference over all differences
};

// Compares two arrays of one shape by their largest absolute difference. NaN and infinite values must be the same.
Check compare(const std::string& name, const std::vector<size_t>& shape, const std::vector<double>& reference,
              const std::vector<double>& subject, const Tolerance& tolerance);

// The check of a subject that has another shape than the reference.
Check shape_differs(const std::string& name, const std::vector<size_t>& expected, const std::vector<size_t>& found,
                    const Tolerance& tolerance);

}  // namespace pocketdet
