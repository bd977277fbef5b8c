// The native methods of io.pocketdet.Native that concern one detector. A handle is a pointer that Java keeps.
#pragma once

#include <jni.h>

namespace pocketdet {

jlong open_handle(JNIEnv* env, jclass, jstring bundle, jstring digest, jstring precision, jstring size, jint present,
                  jint threads, jint max_detections, jint rois, jfloat score_threshold, jfloat nms_iou, jboolean big);
jint max_threads_of(JNIEnv*, jclass);
jobject info_of(JNIEnv* env, jclass, jlong handle);
jobjectArray stages_of(JNIEnv* env, jclass, jlong handle);
jfloatArray detect_frame(JNIEnv* env, jclass, jlong handle, jobject first, jobject second, jobject third,
                         jintArray layout, jdoubleArray milliseconds, jbooleanArray pinned, jintArray rois);
jobjectArray self_test(JNIEnv* env, jclass, jlong handle);
void close_handle(JNIEnv* env, jclass, jlong handle);
jbyteArray rgb_of(JNIEnv* env, jclass, jobject first, jobject second, jobject third, jintArray layout);

// tool.cpp
jstring run_tool(JNIEnv* env, jclass, jobjectArray words);

}  // namespace pocketdet
