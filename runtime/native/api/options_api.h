// Options of the C API as those of the detector.
#pragma once

#include <optional>
#include <string>

#include "boxes.h"
#include "options.h"
#include "pocketdet/pocketdet.h"

namespace pocketdet {

// Which bundle an options struct asks for, and at which input size.
struct BundleChoice {
    std::string digest;  // empty: any
    std::optional<Size> size;
};

// Of options that `options_of` accepts. Throws UsageError for text that is no size.
BundleChoice bundle_choice_of(const pocketdet_options* options);

// Null means no options. Throws UsageError for a struct of an unknown size or a value out of its range.
DetectorOptions options_of(const pocketdet_options* options);

}  // namespace pocketdet
