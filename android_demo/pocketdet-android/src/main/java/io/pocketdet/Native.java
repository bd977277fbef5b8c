package io.pocketdet;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/** The native library. The holder of a handle must use it from one thread at a time. */
final class Native {
    private static boolean loaded;

    private Native() {
    }

    /** Loads the library once. Throws {@link EngineException} if the app has none for this processor. */
    static synchronized void load() {
        if (loaded) {
            return;
        }
        try {
            System.loadLibrary("pocketdet");
        } catch (LinkageError error) {
            throw new EngineException("the native library of pocketdet cannot be loaded on this "
                    + System.getProperty("os.arch") + " processor; the app has it for arm64-v8a and x86_64 ("
                    + error.getMessage() + ")");
        }
        loaded = true;
    }

    /**
     * Returns a new handle. `digest`, `precision` and `size` may be null. `present` has a bit for each number that is
     * set, bit 0 for the first: threads, maxDetections, rois, scoreThreshold, nmsIou.
     */
    static native long open(String bundle, @Nullable String digest, @Nullable String precision, @Nullable String size,
            int present, int threads, int maxDetections, int rois, float scoreThreshold, float nmsIou,
            boolean bigCores);

    /** Returns the most threads of a detector. */
    static native int maxThreads();

    static native BundleInfo info(long handle);

    static native String[] stages(long handle);

    /**
     * Returns rows of x1, y1, x2, y2, score, label. `layout` is that of {@link Frame}. Fills `milliseconds`, one per
     * stage, `pinned[0]`: whether the frame ran on big cores, and `rois[0]`: proposals that the head saw.
     */
    static native float[] detect(long handle, ByteBuffer first, ByteBuffer second, ByteBuffer third, int[] layout,
            double[] milliseconds, boolean[] pinned, int[] rois);

    static native SelfTest.Check[] selfTest(long handle);

    /** Frees the handle. */
    static native void close(long handle);

    /** Returns packed RGB rows of the cropped and rotated image. */
    static native byte[] rgb(ByteBuffer first, ByteBuffer second, ByteBuffer third, int[] layout);

    /** Returns the document of a pocketdet-run command: "bench", "verify" or "machine", then its arguments. */
    static native String tool(String[] arguments);
}
