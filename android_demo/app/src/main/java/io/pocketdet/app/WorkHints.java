package io.pocketdet.app;

import android.annotation.TargetApi;
import android.content.Context;
import android.os.Build;
import android.os.PerformanceHintManager;
import io.pocketdet.app.logic.NamedThreads;

/**
 * Reports the time of each frame to Android, which selects clocks and cores by it for the threads that worked on the
 * first one: the calling thread and the workers of OpenMP that it started (PerformanceHintManager, from Android 12 on).
 * Does nothing on earlier versions and on devices without such hints.
 */
@TargetApi(Build.VERSION_CODES.S)
final class WorkHints implements AutoCloseable {
    private static final long TARGET_NS = 33_000_000; // a camera's 30 frames a second

    private final PerformanceHintManager manager; // null without hints
    private PerformanceHintManager.Session session; // null before the first frame, and if the system refuses one
    private boolean begun;

    WorkHints(Context context) {
        manager = Build.VERSION.SDK_INT >= Build.VERSION_CODES.S
                ? context.getSystemService(PerformanceHintManager.class)
                : null;
    }

    /** A frame took this long on the calling thread, always the same one; at least a nanosecond is reported. */
    void report(double milliseconds) {
        if (!begun && manager != null) {
            session = manager.createHintSession(NamedThreads.ids(Thread.currentThread().getName()), TARGET_NS);
        }
        begun = true;
        if (session != null) {
            session.reportActualWorkDuration(Math.max(1, (long) (milliseconds * 1e6)));
        }
    }

    @Override
    public void close() {
        if (session != null) {
            session.close();
        }
    }
}
