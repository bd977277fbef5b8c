// Exceptions do not leave the C API: they become a status and a sentence.
#pragma once

#include <exception>
#include <new>

#include "errors.h"
#include "pocketdet/pocketdet.h"

namespace pocketdet {

// Keeps the sentence for pocketdet_error_message; returns `status`. Does not throw.
pocketdet_status fail(pocketdet_status status, const char* message);

// Runs `action`, which throws what goes wrong.
template <typename Action>
pocketdet_status guarded(Action action) {
    try {
        action();
        return POCKETDET_OK;
    } catch (const UsageError& error) {
        return fail(POCKETDET_USAGE_ERROR, error.what());
    } catch (const BundleError& error) {
        return fail(POCKETDET_BUNDLE_ERROR, error.what());
    } catch (const GraphError& error) {
        return fail(POCKETDET_GRAPH_ERROR, error.what());
    } catch (const ImageError& error) {
        return fail(POCKETDET_IMAGE_ERROR, error.what());
    } catch (const EngineError& error) {
        return fail(POCKETDET_ENGINE_ERROR, error.what());
    } catch (const std::bad_alloc&) {
        return fail(POCKETDET_OUT_OF_MEMORY, "out of memory");
    } catch (const std::exception& error) {
        return fail(POCKETDET_INTERNAL_ERROR, error.what());
    } catch (...) {
        return fail(POCKETDET_INTERNAL_ERROR, "an unknown exception");
    }
}

// Throws UsageError if `pointer` is null; `name` is the argument's.
void require(const void* pointer, const char* name);

}  // namespace pocketdet
