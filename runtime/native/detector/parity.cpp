#include "parity.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pocketdet {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool same_non_finite(double a, double b) { return (std::isnan(a) && std::isnan(b)) || a == b; }

std::string text_of(const std::vector<size_t>& shape) {
    std::string text;
    for (const size_t side : shape) text += (text.empty() ? "(" : ", ") + std::to_string(side);
    return text + ")";
}

}  // namespace

double ValueRange::of(double largest) const {
    const double found = std::max(largest, least);
    return !matters || found <= 0 ? found : found * std::max(1.0, -std::log(found));
}

Check shape_differs(const std::string& name, const std::vector<size_t>& expected, const std::vector<size_t>& found,
                    const Tolerance& tolerance) {
    Check check{name, found, kInfinity, std::nullopt, 0, tolerance.absolute, false, "", true};
    check.note = "expected shape " + text_of(expected) + ", found " + text_of(found);
    return check;
}

Check compare(const std::string& name, const std::vector<size_t>& shape, const std::vector<double>& reference,
              const std::vector<double>& subject, const Tolerance& tolerance) {
    if (reference.size() != subject.size()) return shape_differs(name, {reference.size()}, {subject.size()}, tolerance);
    Check check{name, shape, 0, std::nullopt, 0, 0, false, "", false};
    const double matters = tolerance.values.matters.value_or(-kInfinity);
    double noise = 0, signal = 0, power = 0, other = 0, product = 0, largest = 0;
    for (size_t i = 0; i < reference.size(); ++i) {
        const double ref = reference[i];
        const double sub = subject[i];
        if (!std::isfinite(ref) || !std::isfinite(sub)) {
            if (same_non_finite(ref, sub)) continue;
            check.max_abs = kInfinity;
            check.proved = true;
            check.tolerance = tolerance.absolute;
            check.note = "a value is NaN or infinite in one of the two alone";
            return check;
        }
        const double difference = sub - ref;
        check.proved = true;
        check.max_abs = std::max(check.max_abs, std::fabs(difference));
        largest = std::max(largest, std::fabs(ref));
        power += ref * ref;
        other += sub * sub;
        product += ref * sub;
        if (std::max(ref, sub) < matters) continue;
        noise += difference * difference;
        signal += ref * ref;
    }
    check.tolerance = tolerance.absolute + tolerance.relative * tolerance.values.of(largest);
    if (noise > 0) check.snr_db = 10 * (std::log10(std::max(signal, 1e-300)) - std::log10(noise));
    const double norms = std::sqrt(power) * std::sqrt(other);
    check.cosine = norms > 0 ? std::clamp(product / norms, -1.0, 1.0) : (check.max_abs == 0 ? 1.0 : 0.0);
    const bool noisy = tolerance.least_snr_db && check.snr_db && *check.snr_db < *tolerance.least_snr_db;
    if (noisy) check.note = "the SNR is below " + std::to_string(*tolerance.least_snr_db) + " dB";
    check.ok = check.max_abs <= check.tolerance && !noisy;
    return check;
}

}  // namespace pocketdet
