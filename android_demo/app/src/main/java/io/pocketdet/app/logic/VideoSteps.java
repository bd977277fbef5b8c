package io.pocketdet.app.logic;

/** At which moments of a video its frames are taken. */
public final class VideoSteps {
    private static final long STEP_MS = 100;

    private VideoSteps() {
    }

    /** How many moments a video of this duration has: at least its first frame, then one each tenth of a second. */
    public static int count(long durationMs) {
        return (int) Math.max(1, Math.min((durationMs + STEP_MS - 1) / STEP_MS, Integer.MAX_VALUE));
    }

    /** The moment with this number from 0, in microseconds. */
    public static long microseconds(int step) {
        return step * STEP_MS * 1000;
    }
}
