// What every native method needs of Java: typed exceptions, strings, arrays. No C++ exception leaves a native method,
// and no JNI function is called while a Java exception waits.
#pragma once

#include <jni.h>

#include <string>
#include <vector>

namespace pocketdet::java {

// A Java exception is waiting: the native method must return.
struct Thrown {};

// Throws Thrown if the last JNI call left an exception.
void check(JNIEnv* env);

// The value of a JNI call that may have thrown.
template <typename Value>
Value checked(JNIEnv* env, Value value) {
    check(env);
    return value;
}

// Finds the classes and constructors that native methods use. Throws Thrown.
void load_classes(JNIEnv* env);

struct Classes {
    jclass string, bundle_info, check, thread, cancellation;
    jmethodID new_bundle_info, new_check, current_thread, is_interrupted;
};
const Classes& classes();

// Leaves a java.util.concurrent.CancellationException and throws Thrown if the calling Java thread is interrupted.
void check_interrupt(JNIEnv* env);

// Within a catch block: leaves what was caught as a waiting Java exception of the class that belongs to it.
void rethrow_to_java(JNIEnv* env);

// The result of `body`, or `otherwise` and a waiting Java exception.
template <typename Result, typename Body>
Result guarded(JNIEnv* env, Result otherwise, Body body) {
    try {
        return body();
    } catch (...) {
        rethrow_to_java(env);
    }
    return otherwise;
}

// Java's UTF-16 as UTF-8, and back; what is not text becomes U+FFFD.
std::string to_utf8(JNIEnv* env, jstring text);
jstring to_java(JNIEnv* env, const std::string& utf8);
jobjectArray to_java(JNIEnv* env, const std::vector<std::string>& texts);
std::vector<std::string> to_strings(JNIEnv* env, jobjectArray texts);

}  // namespace pocketdet::java
