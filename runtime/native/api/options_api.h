// Options of the C API as those of the detector.
#pragma once

#include "options.h"
#include "pocketdet/pocketdet.h"

namespace pocketdet {

// Null means no options. Throws UsageError for a struct of an unknown size or a value out of its range.
DetectorOptions options_of(const pocketdet_options* options);

}  // namespace pocketdet
