#include "java.h"

#include <exception>
#include <new>

#include "errors.h"

namespace pocketdet::java {

namespace {

Classes g_classes{};

struct Exceptions {
    jclass any, bundle, graph, image, engine, usage;
    jmethodID new_any, new_bundle, new_graph, new_image, new_engine, new_usage;
};
Exceptions g_exceptions{};

jclass find_class(JNIEnv* env, const char* name) {
    jclass local = checked(env, env->FindClass(name));
    auto global = static_cast<jclass>(checked(env, env->NewGlobalRef(local)));
    env->DeleteLocalRef(local);
    return global;
}

void find_exception(JNIEnv* env, const char* name, jclass& type, jmethodID& constructor) {
    type = find_class(env, name);
    constructor = checked(env, env->GetMethodID(type, "<init>", "(Ljava/lang/String;)V"));
}

// Allocates nothing in C++, where nothing may be left.
void leave_out_of_memory(JNIEnv* env) {
    env->ThrowNew(g_exceptions.engine, "out of memory; close other detectors or use a smaller one");
}

void leave(JNIEnv* env, jclass type, jmethodID constructor, const char* message, const char* before = "") {
    try {
        jstring text = to_java(env, std::string(before) + message);
        auto error = static_cast<jthrowable>(checked(env, env->NewObject(type, constructor, text)));
        env->Throw(error);
    } catch (const Thrown&) {
        // Java is out of memory: that exception waits in its place
    } catch (const std::bad_alloc&) {
        leave_out_of_memory(env);
    }
}

constexpr char32_t kNoText = 0xFFFD;

// The code point that begins at `at`, which moves behind it.
char32_t next_code_point(const std::string& text, size_t& at) {
    const auto first = static_cast<uint8_t>(text[at++]);
    if (first < 0x80) return first;
    const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4) return kNoText;
    char32_t point = first & (0x3Fu >> more);
    for (int i = 0; i < more; ++i) {
        if (at == text.size() || (static_cast<uint8_t>(text[at]) & 0xC0) != 0x80) return kNoText;
        point = (point << 6) | (static_cast<uint8_t>(text[at++]) & 0x3Fu);
    }
    const char32_t least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    return point < least || point > 0x10FFFF || surrogate ? kNoText : point;
}

void append_utf8(std::string& text, char32_t point) {
    if (point < 0x80) {
        text += static_cast<char>(point);
        return;
    }
    const int more = point >= 0x10000 ? 3 : point >= 0x800 ? 2 : 1;
    const char32_t mark = more == 3 ? 0xF0 : more == 2 ? 0xE0 : 0xC0;
    text += static_cast<char>(mark | (point >> (6 * more)));
    for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80 | ((point >> (6 * i)) & 0x3F));
}

}  // namespace

void check(JNIEnv* env) {
    if (env->ExceptionCheck() == JNI_TRUE) throw Thrown{};
}

void load_classes(JNIEnv* env) {
    Exceptions& e = g_exceptions;
    find_exception(env, "io/pocketdet/PocketDetException", e.any, e.new_any);
    find_exception(env, "io/pocketdet/BundleException", e.bundle, e.new_bundle);
    find_exception(env, "io/pocketdet/GraphException", e.graph, e.new_graph);
    find_exception(env, "io/pocketdet/ImageException", e.image, e.new_image);
    find_exception(env, "io/pocketdet/EngineException", e.engine, e.new_engine);
    find_exception(env, "io/pocketdet/UsageException", e.usage, e.new_usage);
    Classes& c = g_classes;
    c.string = find_class(env, "java/lang/String");
    c.bundle_info = find_class(env, "io/pocketdet/BundleInfo");
    c.new_bundle_info =
        checked(env, env->GetMethodID(c.bundle_info, "<init>", "([Ljava/lang/String;[Ljava/lang/String;II)V"));
    c.check = find_class(env, "io/pocketdet/SelfTest$Check");
    c.thread = find_class(env, "java/lang/Thread");
    c.current_thread = checked(env, env->GetStaticMethodID(c.thread, "currentThread", "()Ljava/lang/Thread;"));
    c.is_interrupted = checked(env, env->GetMethodID(c.thread, "isInterrupted", "()Z"));
    c.cancellation = find_class(env, "java/util/concurrent/CancellationException");
    c.new_check = checked(env, env->GetMethodID(c.check, "<init>", "(Ljava/lang/String;ZDDLjava/lang/String;Z)V"));
}

const Classes& classes() { return g_classes; }

void check_interrupt(JNIEnv* env) {
    jobject thread = checked(env, env->CallStaticObjectMethod(g_classes.thread, g_classes.current_thread));
    const jboolean interrupted = checked(env, env->CallBooleanMethod(thread, g_classes.is_interrupted));
    env->DeleteLocalRef(thread);
    if (interrupted == JNI_TRUE) {
        env->ThrowNew(g_classes.cancellation, "the run was cancelled");
        throw Thrown{};
    }
}

void rethrow_to_java(JNIEnv* env) {
    const Exceptions& e = g_exceptions;
    try {
        throw;
    } catch (const Thrown&) {
        // waits already
    } catch (const BundleError& error) {
        leave(env, e.bundle, e.new_bundle, error.what());
    } catch (const GraphError& error) {
        leave(env, e.graph, e.new_graph, error.what());
    } catch (const ImageError& error) {
        leave(env, e.image, e.new_image, error.what());
    } catch (const EngineError& error) {
        leave(env, e.engine, e.new_engine, error.what());
    } catch (const UsageError& error) {
        leave(env, e.usage, e.new_usage, error.what());
    } catch (const std::bad_alloc&) {
        leave_out_of_memory(env);
    } catch (const std::exception& error) {
        leave(env, e.any, e.new_any, error.what(), "unexpected: ");
    } catch (...) {
        leave(env, e.any, e.new_any, "unexpected failure of the native library");
    }
}

std::string to_utf8(JNIEnv* env, jstring text) {
    std::vector<jchar> units(static_cast<size_t>(env->GetStringLength(text)));
    env->GetStringRegion(text, 0, static_cast<jsize>(units.size()), units.data());
    check(env);
    std::string utf8;
    for (size_t i = 0; i < units.size(); ++i) {
        const bool high = units[i] >= 0xD800 && units[i] <= 0xDBFF;
        const bool low = units[i] >= 0xDC00 && units[i] <= 0xDFFF;
        if (high && i + 1 < units.size() && units[i + 1] >= 0xDC00 && units[i + 1] <= 0xDFFF) {
            append_utf8(utf8, 0x10000u + ((units[i] - 0xD800u) << 10) + (units[i + 1] - 0xDC00u));
            ++i;
        } else {
            append_utf8(utf8, high || low ? kNoText : units[i]);
        }
    }
    return utf8;
}

jstring to_java(JNIEnv* env, const std::string& utf8) {
    std::vector<jchar> units;
    for (size_t at = 0; at < utf8.size();) {
        const char32_t point = next_code_point(utf8, at);
        if (point >= 0x10000) {
            units.push_back(static_cast<jchar>(0xD800 + ((point - 0x10000) >> 10)));
            units.push_back(static_cast<jchar>(0xDC00 + ((point - 0x10000) & 0x3FF)));
        } else {
            units.push_back(static_cast<jchar>(point));
        }
    }
    return checked(env, env->NewString(units.data(), static_cast<jsize>(units.size())));
}

jobjectArray to_java(JNIEnv* env, const std::vector<std::string>& texts) {
    const auto count = static_cast<jsize>(texts.size());
    jobjectArray array = checked(env, env->NewObjectArray(count, g_classes.string, nullptr));
    for (jsize i = 0; i < count; ++i) {
        jstring text = to_java(env, texts[static_cast<size_t>(i)]);
        env->SetObjectArrayElement(array, i, text);
        check(env);
        env->DeleteLocalRef(text);
    }
    return array;
}

std::vector<std::string> to_strings(JNIEnv* env, jobjectArray texts) {
    std::vector<std::string> strings;
    const jsize count = env->GetArrayLength(texts);
    for (jsize i = 0; i < count; ++i) {
        auto text = static_cast<jstring>(checked(env, env->GetObjectArrayElement(texts, i)));
        strings.push_back(to_utf8(env, text));
        env->DeleteLocalRef(text);
    }
    return strings;
}

}  // namespace pocketdet::java
