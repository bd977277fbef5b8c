// java.cpp without memory: whichever allocation fails, a native method returns and one Java exception waits.
#include "java.h"

#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>

#include "errors.h"

namespace {

constexpr int kAll = -1;
int g_allocations_left = kAll;
int g_waiting = 0;  // Java exceptions

jboolean exception_check(JNIEnv*) { return g_waiting > 0 ? JNI_TRUE : JNI_FALSE; }

jint throw_object(JNIEnv*, jthrowable) {
    ++g_waiting;
    return 0;
}

jint throw_new(JNIEnv*, jclass, const char*) {
    ++g_waiting;
    return 0;
}

jstring new_string(JNIEnv*, const jchar*, jsize) { return nullptr; }

jobject new_object(JNIEnv*, jclass, jmethodID, va_list) { return nullptr; }

// An exception of every kind that java.cpp tells apart, with messages too long to be stored without an allocation.
void fail(int kind) {
    const char* const message = "a sentence that is longer than what a string stores within itself";
    if (kind == 0) throw pocketdet::BundleError(message);
    if (kind == 1) throw pocketdet::EngineError(message);
    if (kind == 2) throw std::runtime_error(message);
    if (kind == 3) throw std::bad_alloc();
    throw 0;
}

}  // namespace

void* operator new(size_t size) {
    if (g_allocations_left == 0) throw std::bad_alloc();
    if (g_allocations_left > 0) --g_allocations_left;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

int main() {
    JNINativeInterface_ functions{};
    functions.ExceptionCheck = exception_check;
    functions.Throw = throw_object;
    functions.ThrowNew = throw_new;
    functions.NewString = new_string;
    functions.NewObjectV = new_object;
    JNIEnv env{};
    env.functions = &functions;
    for (int kind = 0; kind < 5; ++kind) {
        for (int allocations = kAll; allocations < 40; ++allocations) {
            g_waiting = 0;
            g_allocations_left = allocations;
            const int result = pocketdet::java::guarded(&env, 7, [kind]() -> int {
                fail(kind);
                return 0;
            });
            g_allocations_left = kAll;
            if (result != 7 || g_waiting != 1) {
                std::printf("kind %d, %d allocations: result %d, %d exceptions\n", kind, allocations, result,
                            g_waiting);
                return 1;
            }
        }
    }
    return 0;
}
