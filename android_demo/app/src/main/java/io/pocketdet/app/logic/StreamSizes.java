package io.pocketdet.app.logic;

import java.util.Arrays;
import java.util.List;

/**
 * Which of a camera's sizes are used: a small one to detect on, and a preview of the same shape, so that both see
 * the same. Sizes are {width, height} of the sensor, before rotation.
 *
 * <p>A device of any level takes a preview and YUV frames at once up to 1920 x 1080 (CameraDevice, "regular capture").
 */
public final class StreamSizes {
    private static final int WANTED_SHORT_SIDE = 480;
    private static final int MOST_WIDTH = 1920;
    private static final int MOST_HEIGHT = 1080;
    private static final double SAME_SHAPE = 0.01;

    private static final int[] SMALLEST = {640, 480};

    public final int[] frames;
    public final int[] preview;

    private StreamSizes(int[] frames, int[] preview) {
        this.frames = frames;
        this.preview = preview;
    }

    /** Of the sizes that a camera has for YUV frames and for previews; null if it has none for frames. */
    public static StreamSizes of(List<int[]> forFrames, List<int[]> forPreview) {
        int[] frames = forDetection(forFrames);
        return frames == null ? null : new StreamSizes(frames, forPreview(forPreview, frames));
    }

    /** What is tried when the camera refuses these; null if these were that. */
    public StreamSizes smaller() {
        boolean smallest = Arrays.equals(frames, SMALLEST) && Arrays.equals(preview, SMALLEST);
        return smallest ? null : new StreamSizes(SMALLEST, SMALLEST);
    }

    /** The smallest 4:3 size that is at least 480 high, else the size nearest to 640 x 480; null if there is none. */
    private static int[] forDetection(List<int[]> sizes) {
        int[] best = null;
        for (int[] size : sizes) {
            if (best == null || distance(size) < distance(best)) {
                best = size;
            }
        }
        return best;
    }

    /** The largest size of the same shape up to 1920 x 1080, else the frames' own size. */
    private static int[] forPreview(List<int[]> sizes, int[] like) {
        int[] best = like;
        for (int[] size : sizes) {
            boolean allowed = size[0] <= MOST_WIDTH && size[1] <= MOST_HEIGHT;
            if (allowed && Math.abs(shape(size) - shape(like)) < SAME_SHAPE && size[0] > best[0]) {
                best = size;
            }
        }
        return best;
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
