// What can go wrong with a detector that is not its program's fault, as in graph_error.h, which has the error for
// graphs.
#pragma once

#include "graph_error.h"

namespace pocketdet {

// A bundle that cannot be trusted: missing or damaged files, a wrong hash, a manifest out of schema.
class BundleError : public Error {
public:
    using Error::Error;
};

// An image that cannot be read or has no pixels.
class ImageError : public Error {
public:
    using Error::Error;
};

// ncnn refused a network or failed while it ran.
class EngineError : public Error {
public:
    using Error::Error;
};

// An argument or option value that cannot be used.
class UsageError : public Error {
public:
    using Error::Error;
};

}  // namespace pocketdet
