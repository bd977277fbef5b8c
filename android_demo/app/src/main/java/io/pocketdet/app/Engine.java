package io.pocketdet.app;

import android.os.Handler;
import io.pocketdet.BundleInfo;
import io.pocketdet.SelfTest;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.Choice;
import io.pocketdet.app.logic.Controller;
import io.pocketdet.app.logic.InferenceLoop;
import io.pocketdet.app.logic.LoadMarks;

/** Runs the chosen detector on the latest frame of the camera, on a thread of its own. */
final class Engine implements Controller.EnginePort {
    /** Called on the screen's thread, with the number of the load that it is about. */
    interface Listener {
        void onTested(int number, BundleInfo info, SelfTest test);

        void onFailed(int number, Throwable error);

        void onResult(int number, Result result);
    }

    private final Handler main;
    private final LoadMarks marks;
    private final Listener listener;
    private volatile InferenceLoop<CameraFrame, Result> loop;

    Engine(Handler main, LoadMarks marks, Listener listener) {
        this.main = main;
        this.marks = marks;
        this.listener = listener;
    }

    @Override
    public void load(int number, BundleEntry entry, Choice choice) {
        stop();
        DetectorWorker.Report report = (info, test) -> main.post(() -> listener.onTested(number, info, test));
        InferenceLoop.Listener<Result> results = new InferenceLoop.Listener<Result>() {
            @Override
            public void onResult(Result result) {
                main.post(() -> listener.onResult(number, result));
            }

            @Override
            public void onFailure(Throwable error) {
                main.post(() -> listener.onFailed(number, error));
            }
        };
        loop = new InferenceLoop<>(() -> new DetectorWorker(entry, choice, marks, report), results, loop);
        loop.start();
    }

    @Override
    public void stop() {
        if (loop != null) {
            loop.stop();
        }
    }

    /** A frame, on any thread; it is closed here if nothing runs. */
    void offer(CameraFrame frame) {
        InferenceLoop<CameraFrame, Result> current = loop;
        if (current == null) {
            frame.close();
        } else {
            current.offer(frame);
        }
    }
}
