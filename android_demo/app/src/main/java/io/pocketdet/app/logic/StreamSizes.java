package io.pocketdet.app.logic;

import java.util.List;

/**
 * Which of a camera's sizes are used: a small one to detect on, and a preview of the same shape, so that both see
 * the same. Sizes are {width, height} of the sensor, before rotation.
 */
public final class StreamSizes {
    private static final int WANTED_SHORT_SIDE = 480;
    private static final int MOST_PREVIEW_WIDTH = 1920;
    private static final double SAME_SHAPE = 0.01;

    private StreamSizes() {
    }

    /** The smallest 4:3 size that is at least 480 high, else the size nearest to 640 x 480; null if there is none. */
    public static int[] forDetection(List<int[]> sizes) {
        int[] best = null;
        for (int[] size : sizes) {
            if (best == null || distance(size) < distance(best)) {
                best = size;
            }
        }
        return best;
    }

    /** The largest size of the same shape up to 1920 wide; the first size given if none has its shape. */
    public static int[] forPreview(List<int[]> sizes, int[] like) {
        int[] best = null;
        for (int[] size : sizes) {
            boolean fits = size[0] <= MOST_PREVIEW_WIDTH && Math.abs(shape(size) - shape(like)) < SAME_SHAPE;
            if (fits && (best == null || size[0] > best[0])) {
                best = size;
            }
        }
        return best != null || sizes.isEmpty() ? best : sizes.get(0);
    }

    private static double distance(int[] size) {
        double missing = Math.max(0, WANTED_SHORT_SIDE - size[1]);
        double spare = Math.max(0, size[1] - WANTED_SHORT_SIDE);
        return 1e4 * Math.abs(shape(size) - 4 / 3.0) + 10 * missing + spare;
    }

    private static double shape(int[] size) {
        return size[0] / (double) size[1];
    }
}
