package io.pocketdet;

import java.io.File;

/**
 * A detector of a bundle: pictures in, boxes out. It may be used from any thread and takes one frame at a time; make a
 * second one to run two at once. It holds native memory until it is closed.
 */
public final class Detector implements AutoCloseable {
    private final Object turn = new Object();
    private final BundleInfo info;
    private final String[] stages;
    private volatile boolean closed;
    private long handle; // guarded by turn

    private Detector(long handle) {
        this.handle = handle;
        info = Native.info(handle);
        stages = Native.stages(handle);
    }

    /**
     * Opens a bundle folder (NAME.pocketdet). Before ncnn reads its networks, the manifest, the hashes of all files and
     * every layer's parameters, shapes and weights are checked, by the code that Python's load_bundle runs; SECURITY.md
     * has the order and the limits. Takes some hundred milliseconds.
     *
     * Throws {@link BundleException} for a bundle that is damaged, incomplete, of a newer schema or not the one that
     * {@link DetectorOptions#digest} names, {@link GraphException} for a network that ncnn could not run safely,
     * {@link EngineException} if ncnn cannot run it, {@link UsageException} for an option out of its range.
     */
    public static Detector open(File bundle, DetectorOptions options) {
        Native.load();
        Number[] numbers = {
            options.threads(), options.maxDetections(), options.rois(), options.scoreThreshold(), options.nmsIou()
        };
        int present = 0;
        for (int i = 0; i < numbers.length; i++) {
            present |= numbers[i] == null ? 0 : 1 << i;
            numbers[i] = numbers[i] == null ? Integer.valueOf(0) : numbers[i];
        }
        long handle = Native.open(bundle.getAbsolutePath(), checkedDigest(options), options.precision(), present,
                numbers[0].intValue(), numbers[1].intValue(), numbers[2].intValue(), numbers[3].floatValue(),
                numbers[4].floatValue(), options.bigCores());
        try {
            return new Detector(handle);
        } catch (RuntimeException | Error error) {
            Native.close(handle);
            throw error;
        }
    }

    /** Also after close. */
    public BundleInfo info() {
        return info;
    }

    /**
     * Waits its turn and runs one frame on the calling thread. The frame's buffers must not change until it returns.
     *
     * Throws {@link EngineException}, {@link ImageException} for an image that the library does not take,
     * {@link ClosedException} after or while another thread closes.
     */
    public Detections detect(Frame frame) {
        synchronized (turn) {
            long open = openHandle();
            double[] milliseconds = new double[stages.length];
            boolean[] pinned = new boolean[1];
            float[] rows = Native.detect(
                    open, frame.first, frame.second, frame.third, frame.layout(), milliseconds, pinned);
            StageTimes times = new StageTimes(stages, milliseconds);
            return new Detections(rows, info.classNames(), frame, times, pinned[0]);
        }
    }

    /**
     * Replays the bundle's golden picture and compares every stage with what PyTorch made of it, each stage fed with
     * PyTorch's own inputs; takes about two frames' time. The bundle must still be where it was opened.
     *
     * Throws {@link BundleException} if it is not, or another one is; else as {@link #detect}.
     */
    public SelfTest selfTest() {
        synchronized (turn) {
            return new SelfTest(Native.selfTest(openHandle()));
        }
    }

    /** Waits for the frame in flight and frees everything; frames that wait get {@link ClosedException}. */
    @Override
    public void close() {
        closed = true;
        synchronized (turn) {
            if (handle != 0) {
                Native.close(handle);
                handle = 0;
            }
        }
    }

    /** The digest of the options, or null. An empty one is refused, since the native library would check nothing. */
    static String checkedDigest(DetectorOptions options) {
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
