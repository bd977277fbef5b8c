package io.pocketdet.app.logic;

import java.util.Arrays;

/** Milliseconds of the last frames, the oldest forgotten first. Not safe for use from several threads. */
public final class FrameStats {
    /** As many frames as the status line speaks of. */
    public static final int WINDOW = 100;

    private final double[] ring;
    private int next;
    private int count;

    public FrameStats() {
        this(WINDOW);
    }

    public FrameStats(int window) {
        ring = new double[window];
    }

    /** Adds a frame. A time that is not a finite number of at least 0 is no frame. */
    public void add(double milliseconds) {
        if (!(milliseconds >= 0) || Double.isInfinite(milliseconds)) {
            return;
        }
        ring[next] = milliseconds;
        next = (next + 1) % ring.length;
        count = Math.min(count + 1, ring.length);
    }

    public int count() {
        return count;
    }

    /** Frames a second at the median; NaN before the first frame. */
    public double fps() {
        return 1000 / percentile(50);
    }

    /** See {@link #percentile(double[], double)}; NaN before the first frame. */
    public double percentile(double percent) {
        return percentile(Arrays.copyOf(ring, count), percent);
    }

    public void clear() {
        next = 0;
        count = 0;
    }

    /** Percentile of some values by linear interpolation, as numpy's and as in the records of `pocketdet bench`. */
    public static double percentile(double[] values, double percent) {
        if (values.length == 0) {
            return Double.NaN;
        }
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        double place = (sorted.length - 1) * percent / 100;
        int low = (int) Math.floor(place);
        int high = Math.min(low + 1, sorted.length - 1);
        return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
    }
}
