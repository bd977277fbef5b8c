// Stage-by-stage parity with PyTorch's golden values, each stage fed with the reference's own inputs, so that the first
// failing row names the stage at fault. Rows are those of runtime/verification.py, tolerances
// those of runtime/parity.py.
#pragma once

#include <vector>

#include "agreement.h"
#include "detector.h"
#include "golden.h"

namespace pocketdet {

// One check per stage, in their order; at the score threshold of the golden detections. Throws EngineError.
std::vector<Check> compare_stages(const Golden& golden, Detector& detector);

}  // namespace pocketdet
