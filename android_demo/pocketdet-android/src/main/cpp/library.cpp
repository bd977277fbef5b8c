// What the Java virtual machine calls when it loads the library.
#include <jni.h>

#include <iterator>

#include "handle.h"
#include "java.h"

namespace pocketdet {

namespace {

template <typename Function>
JNINativeMethod method(const char* name, const char* signature, Function* function) {
    // jni.h of Java has char* where Android's has const char*
    return {const_cast<char*>(name), const_cast<char*>(signature), reinterpret_cast<void*>(function)};
}

#define BUFFERS "Ljava/nio/ByteBuffer;Ljava/nio/ByteBuffer;Ljava/nio/ByteBuffer;[I"

bool register_natives(JNIEnv* env) {
    const JNINativeMethod methods[] = {
        method("open", "(Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;IIIIFFZ)J",
               open_handle),
        method("maxThreads", "()I", max_threads_of),
        method("info", "(J)Lio/pocketdet/BundleInfo;", info_of),
        method("stages", "(J)[Ljava/lang/String;", stages_of),
        method("detect", "(J" BUFFERS "[D[Z[I)[F", detect_frame),
        method("selfTest", "(J)[Lio/pocketdet/SelfTest$Check;", self_test),
        method("close", "(J)V", close_handle),
        method("rgb", "(" BUFFERS ")[B", rgb_of),
        method("tool", "([Ljava/lang/String;)Ljava/lang/String;", run_tool),
    };
    jclass native = java::checked(env, env->FindClass("io/pocketdet/Native"));
    return env->RegisterNatives(native, methods, static_cast<jint>(std::size(methods))) == JNI_OK;
}

}  // namespace

}  // namespace pocketdet

extern "C" JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* machine, void*) {
    void* environment = nullptr;
    if (machine->GetEnv(&environment, JNI_VERSION_1_6) != JNI_OK) return JNI_ERR;
    auto* env = static_cast<JNIEnv*>(environment);
    try {
        pocketdet::java::load_classes(env);
        return pocketdet::register_natives(env) ? JNI_VERSION_1_6 : JNI_ERR;
    } catch (const pocketdet::java::Thrown&) {
        return JNI_ERR;
    }
}
