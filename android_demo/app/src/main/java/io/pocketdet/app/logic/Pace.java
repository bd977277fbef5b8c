package io.pocketdet.app.logic;

/** Lets something happen at most once in a period, such as a text that nobody could read more often. */
public final class Pace {
    private final long periodNs;
    private boolean started;
    private long lastNs;

    public Pace(long periodNs) {
        this.periodNs = periodNs;
    }

    /** Whether it is time; at most once a period. Times are of System.nanoTime(). */
    public boolean isDue(long nowNs) {
        boolean due = !started || nowNs - lastNs >= periodNs;
        if (due) {
            started = true;
            lastNs = nowNs;
        }
        return due;
    }

    /** The next time is now. */
    public void reset() {
        started = false;
    }
}
