#include "guard.h"

#include <cstdio>
#include <string>

namespace pocketdet {

namespace {

// No allocation, so that "out of memory" can be said. A longer message is cut.
thread_local char last_message[2048] = "";

}  // namespace

pocketdet_status fail(pocketdet_status status, const char* message) {
    std::snprintf(last_message, sizeof last_message, "%s", message);
    return status;
}

void require(const void* pointer, const char* name) {
    if (pointer == nullptr) throw UsageError(std::string(name) + ": expected a pointer, found null");
}

}  // namespace pocketdet

const char* pocketdet_error_message(void) { return pocketdet::last_message; }

const char* pocketdet_version(void) { return POCKETDET_VERSION; }
