package io.pocketdet;

import java.util.List;

/** What was found in one frame, best first. Immutable. */
public final class Detections {
    private static final int X1 = 0;
    private static final int Y1 = 1;
    private static final int X2 = 2;
    private static final int Y2 = 3;
    private static final int SCORE = 4;
    private static final int LABEL = 5;

    /** Floats per detection of what the native library returns. */
    private static final int ROW = 6;

    private final float[] rows;
    private final List<String> names;
    private final int width;
    private final int height;
    private final StageTimes times;
    private final boolean pinned;

    Detections(float[] rows, List<String> names, Frame frame, StageTimes times, boolean pinned) {
        this.rows = rows;
        this.names = names;
        this.width = frame.width();
        this.height = frame.height();
        this.times = times;
        this.pinned = pinned;
    }

    public int size() {
        return rows.length / ROW;
    }

    /** Left edge in pixels of the cropped and rotated picture. */
    public float x1(int i) {
        return value(i, X1);
    }

    /** Top edge. */
    public float y1(int i) {
        return value(i, Y1);
    }

    /** Right edge. */
    public float x2(int i) {
        return value(i, X2);
    }

    /** Bottom edge. */
    public float y2(int i) {
        return value(i, Y2);
    }

    /** 0..1. */
    public float score(int i) {
        return value(i, SCORE);
    }

    /** Of {@link BundleInfo#classNames}, from 0. */
    public int label(int i) {
        return (int) value(i, LABEL);
    }

    public String name(int i) {
        return names.get(label(i));
    }

    /** Pixels of the cropped and rotated picture. */
    public int width() {
        return width;
    }

    public int height() {
        return height;
    }

    public StageTimes times() {
        return times;
    }

    /** Whether big cores were asked for and the system kept the frame on them; it may refuse, as in the background. */
    public boolean pinned() {
        return pinned;
    }

    private float value(int i, int column) {
        if (i < 0 || i >= size()) {
            throw new IndexOutOfBoundsException("detection " + i + " of " + size());
        }
        return rows[i * ROW + column];
    }
}
