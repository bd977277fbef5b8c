package io.pocketdet;

import java.util.List;

/** Detections of one frame, best first. Immutable. */
public final class Detections {
    private static final int X1 = 0;
    private static final int Y1 = 1;
    private static final int X2 = 2;
    private static final int Y2 = 3;
    private static final int SCORE = 4;
    private static final int LABEL = 5;

    /** Floats per detection in the native result. */
    private static final int ROW = 6;

    private final float[] rows;
    private final List<String> names;
    private final int width;
    private final int height;
    private final StageTimes times;
    private final boolean pinned;
    private final int rois;

    Detections(float[] rows, List<String> names, Frame frame, StageTimes times, boolean pinned, int rois) {
        this.rows = rows;
        this.names = names;
        this.width = frame.width();
        this.height = frame.height();
        this.times = times;
        this.pinned = pinned;
        this.rois = rois;
    }

    /** Returns the number of detections. */
    public int size() {
        return rows.length / ROW;
    }

    /** Returns the left edge in pixels of the cropped and rotated image. */
    public float x1(int i) {
        return value(i, X1);
    }

    /** Returns the top edge in pixels. */
    public float y1(int i) {
        return value(i, Y1);
    }

    /** Returns the right edge in pixels. */
    public float x2(int i) {
        return value(i, X2);
    }

    /** Returns the bottom edge in pixels. */
    public float y2(int i) {
        return value(i, Y2);
    }

    /** Returns the score in [0, 1]. */
    public float score(int i) {
        return value(i, SCORE);
    }

    /** Returns the index into {@link BundleInfo#classNames}. */
    public int label(int i) {
        return (int) value(i, LABEL);
    }

    /** Returns the class name. */
    public String name(int i) {
        return names.get(label(i));
    }

    /** Returns the width of the cropped and rotated image in pixels. */
    public int width() {
        return width;
    }

    /** Returns the height of the cropped and rotated image in pixels. */
    public int height() {
        return height;
    }

    /** Returns the wall time of each stage. */
    public StageTimes times() {
        return times;
    }

    /** Returns whether the frame ran on the requested big cores. The system may refuse, e.g. in the background. */
    public boolean pinned() {
        return pinned;
    }

    /** Returns the proposals that the head classified, on which the time depends; 0 for a one-stage detector. */
    public int rois() {
        return rois;
    }

    private float value(int i, int column) {
        if (i < 0 || i >= size()) {
            throw new IndexOutOfBoundsException("detection " + i + " of " + size());
        }
        return rows[i * ROW + column];
    }
}
