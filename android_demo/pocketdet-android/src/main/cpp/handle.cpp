#include "handle.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "big_cores.h"
#include "bundle.h"
#include "detector.h"
#include "errors.h"
#include "frame.h"
#include "java.h"
#include "stages.h"

namespace pocketdet {

namespace {

// What lies behind a handle. Java sees to it that one thread at a time uses it.
struct Handle {
    Handle(const Bundle& bundle, const DetectorOptions& options, bool big)
        : path(bundle.folder.path()), digest(bundle.digest), detector(bundle, options) {
        if (big) cores = big_cores();
    }

    std::string path, digest;
    Detector detector;
    std::vector<int> cores;
    std::vector<uint8_t> rgb;
};

Handle& of(jlong handle) { return *reinterpret_cast<Handle*>(handle); }

Arithmetic arithmetic_named(const std::string& name) {
    const auto& names = kArithmetics;
    if (std::find(names.begin(), names.end(), name) != names.end()) return arithmetic_of(name);
    std::string all;
    for (const char* one : names) all += (all.empty() ? "" : ", ") + std::string(one);
    throw UsageError("precision=" + name + ": expected one of " + all);
}

Frame frame_of(JNIEnv* env, jobject first, jobject second, jobject third, jintArray layout) {
    jint n[9];  // in the order of Frame.layout() of Java
    env->GetIntArrayRegion(layout, 0, 9, n);
    java::check(env);
    const auto bytes = [&](jobject buffer) { return static_cast<const uint8_t*>(env->GetDirectBufferAddress(buffer)); };
    return {static_cast<Frame::Kind>(n[0]),
            bytes(first),
            bytes(second),
            bytes(third),
            n[1],
            n[2],
            n[3],
            n[4],
            n[5],
            n[6],
            n[7],
            n[8]};
}

jfloatArray rows_of(JNIEnv* env, const std::vector<Detection>& found) {
    std::vector<jfloat> rows;
    rows.reserve(6 * found.size());
    for (const Detection& d : found) {
        rows.insert(rows.end(), {d.box.x1, d.box.y1, d.box.x2, d.box.y2, d.score, static_cast<jfloat>(d.label)});
    }
    const auto count = static_cast<jsize>(rows.size());
    jfloatArray array = java::checked(env, env->NewFloatArray(count));
    env->SetFloatArrayRegion(array, 0, count, rows.data());
    java::check(env);
    return array;
}

jobject new_check(JNIEnv* env, const Check& check) {
    const java::Classes& classes = java::classes();
    jstring name = java::to_java(env, check.name);
    jstring note = java::to_java(env, check.note);
    const auto ok = static_cast<jboolean>(check.ok);
    const auto proved = static_cast<jboolean>(check.proved);
    jobject object = java::checked(
        env, env->NewObject(classes.check, classes.new_check, name, ok, check.max_abs, check.tolerance, note, proved));
    env->DeleteLocalRef(name);
    env->DeleteLocalRef(note);
    return object;
}

}  // namespace

jlong open_handle(JNIEnv* env, jclass, jstring bundle, jstring digest, jstring precision, jstring size, jint present,
                  jint threads, jint max_detections, jint rois, jfloat score_threshold, jfloat nms_iou, jboolean big) {
    return java::guarded(env, jlong{0}, [&] {
        DetectorOptions options;
        const auto given = [&](int bit) { return (present >> bit & 1) != 0; };
        if (precision != nullptr) options.precision = arithmetic_named(java::to_utf8(env, precision));
        if (given(0)) options.threads = threads;
        if (given(1)) options.max_detections = max_detections;
        if (given(2)) options.rois = rois;
        if (given(3)) options.score_threshold = static_cast<double>(score_threshold);
        if (given(4)) options.nms_iou = static_cast<double>(nms_iou);
        const std::string expected = digest == nullptr ? "" : java::to_utf8(env, digest);
        std::optional<Size> input;
        if (size != nullptr) input = parse_size(java::to_utf8(env, size));
        const Bundle loaded = load_bundle(java::to_utf8(env, bundle), expected, input);
        return reinterpret_cast<jlong>(std::make_unique<Handle>(loaded, options, big == JNI_TRUE).release());
    });
}

jint max_threads_of(JNIEnv*, jclass) { return max_threads(); }

jobject info_of(JNIEnv* env, jclass, jlong handle) {
    return java::guarded(env, jobject{nullptr}, [&] {
        const Detector& detector = of(handle).detector;
        const Manifest& m = detector.manifest();
        std::string sizes;
        for (const Size size : m.sizes) sizes += (sizes.empty() ? "" : " ") + size_text(size);
        jobjectArray texts =
            java::to_java(env, {m.name, m.architecture, m.detector(), m.weight_storage, name_of(detector.asked()),
                                name_of(detector.precision()), why_other(detector.asked(), detector.precision()),
                                of(handle).digest, ncnn_build(), sizes});
        jobjectArray names = java::to_java(env, m.class_names);
        const java::Classes& classes = java::classes();
        return java::checked(env, env->NewObject(classes.bundle_info, classes.new_bundle_info, texts, names,
                                                 m.input.width, m.input.height));
    });
}

jobjectArray stages_of(JNIEnv* env, jclass, jlong handle) {
    return java::guarded(env, jobjectArray{nullptr}, [&] {
        std::vector<std::string> names = {"convert"};
        const std::vector<std::string>& stages = of(handle).detector.stages();
        names.insert(names.end(), stages.begin(), stages.end());
        return java::to_java(env, names);
    });
}

jfloatArray detect_frame(JNIEnv* env, jclass, jlong handle, jobject first, jobject second, jobject third,
                         jintArray layout, jdoubleArray milliseconds, jbooleanArray pinned, jintArray rois) {
    return java::guarded(env, jfloatArray{nullptr}, [&] {
        Handle& h = of(handle);
        const Frame frame = frame_of(env, first, second, third, layout);
        const OnCores on_cores(h.cores);
        const auto start = std::chrono::steady_clock::now();
        const ImageView view = view_of(frame, h.rgb);
        const std::chrono::duration<double, std::milli> convert = std::chrono::steady_clock::now() - start;
        const Detections detections = h.detector.detect(view);
        std::vector<jdouble> times = {convert.count()};
        times.insert(times.end(), detections.milliseconds.begin(), detections.milliseconds.end());
        env->SetDoubleArrayRegion(milliseconds, 0, static_cast<jsize>(times.size()), times.data());
        java::check(env);
        const auto holds = static_cast<jboolean>(on_cores.holds());
        env->SetBooleanArrayRegion(pinned, 0, 1, &holds);
        java::check(env);
        const auto seen = static_cast<jint>(detections.rois);
        env->SetIntArrayRegion(rois, 0, 1, &seen);
        java::check(env);
        return rows_of(env, detections.found);
    });
}

jobjectArray self_test(JNIEnv* env, jclass, jlong handle) {
    return java::guarded(env, jobjectArray{nullptr}, [&] {
        Handle& h = of(handle);
        const Bundle bundle = load_bundle(h.path, h.digest, h.detector.manifest().input);
        const std::vector<Check> checks = compare_stages(load_golden(bundle), h.detector);
        const auto count = static_cast<jsize>(checks.size());
        jobjectArray array = java::checked(env, env->NewObjectArray(count, java::classes().check, nullptr));
        for (jsize i = 0; i < count; ++i) {
            jobject check = new_check(env, checks[static_cast<size_t>(i)]);
            env->SetObjectArrayElement(array, i, check);
            java::check(env);
            env->DeleteLocalRef(check);
        }
        return array;
    });
}

void close_handle(JNIEnv*, jclass, jlong handle) { delete &of(handle); }

jbyteArray rgb_of(JNIEnv* env, jclass, jobject first, jobject second, jobject third, jintArray layout) {
    return java::guarded(env, jbyteArray{nullptr}, [&] {
        const Frame frame = frame_of(env, first, second, third, layout);
        std::vector<uint8_t> rgb(size_t{3} * static_cast<size_t>(frame.across) * static_cast<size_t>(frame.down));
        to_rgb(frame, rgb.data());
        const auto count = static_cast<jsize>(rgb.size());
        jbyteArray array = java::checked(env, env->NewByteArray(count));
        env->SetByteArrayRegion(array, 0, count, reinterpret_cast<const jbyte*>(rgb.data()));
        java::check(env);
        return array;
    });
}

}  // namespace pocketdet
