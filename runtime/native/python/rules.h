// How Python names a suppression rule.
#pragma once

#include <string>

#include "nms.h"

namespace pocketdet::python {

// What the calling function names its arguments, for its messages.
struct RuleNames {
    const char* method;
    const char* iou_threshold;
};

// method: "hard", "linear" or "gaussian"; thresholds in 0..1; sigma positive.
NmsRule load_rule(const RuleNames& names, const std::string& method, double iou_threshold, double sigma,
                  double score_threshold);

}  // namespace pocketdet::python
