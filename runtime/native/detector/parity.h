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
    bool proved = true;  // false if there was nothing to compare: such a check passes and proves nothing
};

// What the values of an array mean for its tolerance.
struct ValueRange {
    double least = 0;  // the least range that a relative tolerance refers to
    // Of probabilities, the least that matters. Elements that are below it in both arrays do not count in the
    // signal-to-noise ratio.
    std::optional<double> matters = std::nullopt;

    // The range of values up to `largest`. Of probabilities up to p it is p * max(1, -ln p): an error of the logit
    // changes ln p by as much at most, and the range of the logit is -ln p.
    double of(double largest) const;
};

struct Tolerance {
    double relative = 0;  // to the range of the values, by default the largest magnitude of the reference
    double absolute = 0;
    std::optional<double> least_snr_db = std::nullopt;  // the least power of the reference over all differences
    ValueRange values = {};
};

// Compares two arrays of one shape by their largest absolute difference. NaN and infinite values must be the same.
// Nothing is proved without a finite value.
Check compare(const std::string& name, const std::vector<size_t>& shape, const std::vector<double>& reference,
              const std::vector<double>& subject, const Tolerance& tolerance);

// The check of a subject that has another shape than the reference.
Check shape_differs(const std::string& name, const std::vector<size_t>& expected, const std::vector<size_t>& found,
                    const Tolerance& tolerance);

}  // namespace pocketdet
