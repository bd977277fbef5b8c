package io.pocketdet;

import java.io.File;
import org.jspecify.annotations.Nullable;

/**
 * Runs the detector of a bundle on frames. Thread-safe; processes one frame at a time. Open a second detector to run
 * two frames in parallel. Holds native memory until it is closed.
 */
public final class Detector implements AutoCloseable {
    private final Object lock = new Object();
    private final BundleInfo info;
    private final String[] stages;
    private volatile boolean closed;
    private long handle; // guarded by lock

    private Detector(long handle) {
        this.handle = handle;
        info = Native.info(handle);
        stages = Native.stages(handle);
    }

    /**
     * Opens a bundle folder (NAME.pocketdet). Validates the manifest, the hashes of all files, and parameters, shapes
     * and weights of all layers before ncnn loads the networks; SECURITY.md describes order and limits. Takes some
     * hundred milliseconds.
     *
     * @param bundle the folder
     * @param options overrides of the bundle's settings
     * @return the detector; close it after use
     * @throws BundleException if the bundle is damaged, incomplete, of a newer schema, or does not match
     *     {@link DetectorOptions#digest}
     * @throws GraphException if ncnn could not run a network safely
     * @throws EngineException if ncnn cannot load a network, or the native library is missing
     * @throws UsageException for an option out of range, or an input size that the bundle does not have
     */
    public static Detector open(File bundle, DetectorOptions options) {
        Native.load();
        Number[] numbers = {
                options.threads(), options.maxDetections(), options.rois(), options.scoreThreshold(), options.nmsIou()};
        int present = 0;
        for (int i = 0; i < numbers.length; i++) {
            present |= numbers[i] == null ? 0 : 1 << i;
            numbers[i] = numbers[i] == null ? Integer.valueOf(0) : numbers[i];
        }
        long handle = Native.open(bundle.getAbsolutePath(), checkedDigest(options), options.precision(),
                options.inputSize(), present, numbers[0].intValue(), numbers[1].intValue(), numbers[2].intValue(),
                numbers[3].floatValue(), numbers[4].floatValue(), options.bigCores());
        try {
            return new Detector(handle);
        } catch (RuntimeException | Error error) {
            Native.close(handle);
            throw error;
        }
    }

    /**
     * Returns the most threads that {@link DetectorOptions#threads} may have: 4 in the library for Android, 1 in one
     * whose ncnn has no OpenMP.
     *
     * @throws EngineException if the native library is missing
     */
    public static int maxThreads() {
        Native.load();
        return Native.maxThreads();
    }

    /** Returns properties of the bundle; available after close. */
    public BundleInfo info() {
        return info;
    }

    /**
     * Detects objects in one frame on the calling thread, after the frames of other threads.
     *
     * @param frame the image; its buffers must not change until this method returns
     * @return detections, best first, in pixels of the cropped and rotated frame
     * @throws ImageException if the image is not supported
     * @throws EngineException if ncnn fails
     * @throws ClosedException if the detector is closed
     */
    public Detections detect(Frame frame) {
        synchronized (lock) {
            long open = openHandle();
            double[] milliseconds = new double[stages.length];
            boolean[] pinned = new boolean[1];
            int[] rois = new int[1];
            float[] rows = Native.detect(
                    open, frame.first, frame.second, frame.third, frame.layout(), milliseconds, pinned, rois);
            StageTimes times = new StageTimes(stages, milliseconds);
            return new Detections(rows, info.classNames(), frame, times, pinned[0], rois[0]);
        }
    }

    /**
     * Compares every stage of the bundle's golden image with PyTorch's values. Each stage runs on PyTorch's inputs.
     * Takes about the time of two frames.
     *
     * @return one check per stage
     * @throws BundleException if the bundle's files were moved or replaced after opening
     * @throws EngineException if ncnn fails
     * @throws ClosedException if the detector is closed
     */
    public SelfTest selfTest() {
        synchronized (lock) {
            return new SelfTest(Native.selfTest(openHandle()));
        }
    }

    /** Waits for the running frame and frees native memory. Waiting calls throw {@link ClosedException}. */
    @Override
    public void close() {
        closed = true;
        synchronized (lock) {
            if (handle != 0) {
                Native.close(handle);
                handle = 0;
            }
        }
    }

    /** Returns the digest of the options, or null. Rejects an empty digest, which would disable the check. */
    static @Nullable String checkedDigest(DetectorOptions options) {
        if (options.digest() != null && options.digest().isEmpty()) {
            throw new UsageException("digest=: expected 64 hexadecimal digits, or null for any bundle");
        }
        return options.digest();
    }

    private long openHandle() {
        if (closed) {
            throw new ClosedException("detector " + info.name() + " is closed; open the bundle again");
        }
        return handle;
    }
}
