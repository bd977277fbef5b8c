package io.pocketdet;

import java.nio.ByteBuffer;

/** The native library. A handle is a detector's; who holds it sees to it that it is used by one thread at a time. */
final class Native {
    private static boolean loaded;

    private Native() {}

    /** Loads the library once. Throws {@link EngineException} where an app has none for this processor. */
    static synchronized void load() {
        if (loaded) {
            return;
        }
        try {
            System.loadLibrary("pocketdet");
        } catch (LinkageError error) {
            throw new EngineException("the native library of pocketdet cannot be loaded on this "
                    + System.getProperty("os.arch") + " processor; the app has it for arm64-v8a alone ("
                    + error.getMessage() + ")");
        }
        loaded = true;
    }

    /**
     * A new handle. `digest` and `precision` may be null. `present` says which of the numbers are chosen, bit 0 for the
     * first: threads, maxDetections, rois, scoreThreshold, nmsIou.
     */
    static native long open(String bundle, String digest, String precision, int present, int threads,
            int maxDetections, int rois, float scoreThreshold, float nmsIou, boolean bigCores);

    static native BundleInfo info(long handle);

    static native String[] stages(long handle);

    /**
     * Rows of x1, y1, x2, y2, score, label. `layout` is that of {@link Frame}. Fills `milliseconds`, one per stage;
     * `pinned[0]` tells whether the frame stayed on big cores.
     */
    static native float[] detect(long handle, ByteBuffer first, ByteBuffer second, ByteBuffer third, int[] layout,
            double[] milliseconds, boolean[] pinned);

    static native SelfTest.Check[] selfTest(long handle);

    /** The handle is of no use afterwards. */
    static native void close(long handle);

    /** Packed RGB rows of the cropped and rotated picture. */
    static native byte[] rgb(ByteBuffer first, ByteBuffer second, ByteBuffer third, int[] layout);

    /** The document of a command of pocketdet-run: "bench", "verify" or "machine", then its words. */
    static native String tool(String[] words);
}
