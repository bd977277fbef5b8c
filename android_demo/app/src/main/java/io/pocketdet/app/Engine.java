package io.pocketdet.app;

import android.content.Context;
import android.os.Handler;
import io.pocketdet.BundleInfo;
import io.pocketdet.SelfTest;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.Choice;
import io.pocketdet.app.logic.Controller;
import io.pocketdet.app.logic.InferenceLoop;
import io.pocketdet.app.logic.LoadMarks;
import java.util.function.BiConsumer;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/** Runs the chosen detector on the latest frame of the camera, on a thread of its own. */
final class Engine implements Controller.EnginePort {
    /** Called on the screen's thread, with the number of the load that it is about. */
    interface Listener {
        void onTested(int number, BundleInfo info, SelfTest test);

        void onFailed(int number, Throwable error);

        void onResult(int number, Result result);
    }

    private final Context context;
    private final Handler main;
    private final LoadMarks marks;
    private final Listener listener;
    private volatile boolean keepsImages;
    private volatile InferenceLoop<CameraSession.CameraImage, Result> loop;

    Engine(Context context, Handler main, LoadMarks marks, Listener listener) {
        this.context = context;
        this.main = main;
        this.marks = marks;
        this.listener = listener;
    }

    @Override
    public void load(int number, BundleEntry entry, Choice choice) {
        stop();
        BiConsumer<BundleInfo, SelfTest> tested =
                (info, test) -> main.post(() -> listener.onTested(number, info, test));
        BooleanSupplier keeping = () -> keepsImages;
        Consumer<Result> results = result -> main.post(() -> listener.onResult(number, result));
        Consumer<Throwable> failures = error -> main.post(() -> listener.onFailed(number, error));
        loop = new InferenceLoop<>(
                () -> new DetectorWorker(context, entry, choice, marks, keeping, tested), results, failures, loop);
        loop.start();
    }

    @Override
    public void stop() {
        if (loop != null) {
            loop.stop();
        }
    }

    /** Whether results hold their image from the next frame on. */
    void keepImages(boolean keep) {
        keepsImages = keep;
    }

    /** A frame, on any thread; it is closed here if nothing runs. */
    void offer(CameraSession.CameraImage frame) {
        InferenceLoop<CameraSession.CameraImage, Result> current = loop;
        if (current == null) {
            frame.close();
        } else {
            current.offer(frame);
        }
    }
}
