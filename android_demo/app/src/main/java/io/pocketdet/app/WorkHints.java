package io.pocketdet.app;

import android.annotation.TargetApi;
import android.content.Context;
import android.os.Build;
import android.os.PerformanceHintManager;
import android.os.Process;

/**
 * Reports the time of each frame of the calling thread to Android, which selects clocks and cores by it
 * (PerformanceHintManager, from Android 12 on). Does nothing on earlier versions and on devices without such hints.
 */
@TargetApi(Build.VERSION_CODES.S)
final class WorkHints implements AutoCloseable {
    private static final long TARGET_NS = 33_000_000; // a camera's 30 frames a second

    private final PerformanceHintManager.Session session; // null without hints

    /** For the calling thread. */
    WorkHints(Context context) {
        PerformanceHintManager manager = Build.VERSION.SDK_INT >= Build.VERSION_CODES.S
                ? context.getSystemService(PerformanceHintManager.class)
                : null;
        session = manager == null ? null : manager.createHintSession(new int[] {Process.myTid()}, TARGET_NS);
    }

    /** A frame took this long; at least a nanosecond is reported. */
    void report(double milliseconds) {
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
