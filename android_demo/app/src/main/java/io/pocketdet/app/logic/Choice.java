package io.pocketdet.app.logic;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** How the user wants a bundle to run. Immutable. */
public final class Choice {
    /** What can be asked of ncnn; the empty one is "as the bundle says". */
    public static final List<String> PRECISIONS =
            Collections.unmodifiableList(Arrays.asList("", "fp32", "fp16-storage", "fp16", "bf16-storage"));

    /** The library may have fewer (Detector.maxThreads); 1 is how `pocketdet bench` measures. */
    public static final List<Integer> THREADS = Collections.unmodifiableList(Arrays.asList(1, 2, 3, 4));

    public final String precision;
    public final int threads;
    public final boolean bigCores;

    /** A value that is not among those that can be chosen, as from old settings, becomes the first of them. */
    public Choice(String precision, int threads, boolean bigCores) {
        this.precision = PRECISIONS.contains(precision) ? precision : PRECISIONS.get(0);
        this.threads = THREADS.contains(threads) ? threads : THREADS.get(0);
        this.bigCores = bigCores;
    }

    /** The same on one thread, the way benchmarks measure. */
    public Choice onOneThread() {
        return new Choice(precision, THREADS.get(0), bigCores);
    }

    /** Whether a detector that runs as this says need not be loaded again for the other. */
    public boolean isSame(Choice other) {
        return precision.equals(other.precision) && threads == other.threads && bigCores == other.bigCores;
    }
}
