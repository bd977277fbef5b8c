package io.pocketdet;

import java.io.File;
import java.util.ArrayList;
import java.util.List;

/** The measurement of pocketdet-run bench, in this process. */
public final class Bench {
    private Bench() {}

    /**
     * Times a bundle on the calling thread and returns the JSON document that pocketdet-run bench prints: every
     * frame's milliseconds per stage and the core it ran on; clocks, temperatures, load and battery around it. It
     * judges nothing. Takes as long as the options say; call it on a thread that can wait.
     *
     * Throws what {@link Detector#open} throws, and {@link UsageException} for options out of their ranges.
     */
    public static String run(File bundle, DetectorOptions detector, BenchOptions bench) {
        Native.load();
        return Native.bench(words(bundle, detector, bench).toArray(new String[0]));
    }

    /** The command line that a shell would give to pocketdet-run bench. */
    static List<String> words(File bundle, DetectorOptions detector, BenchOptions bench) {
        List<String> words = new ArrayList<>();
        words.add(bundle.getAbsolutePath());
        for (File image : bench.images()) {
            words.add(image.getAbsolutePath());
        }
        add(words, "precision", detector.precision());
        add(words, "threads", detector.threads());
        add(words, "score-threshold", detector.scoreThreshold());
        add(words, "nms-iou", detector.nmsIou());
        add(words, "max-detections", detector.maxDetections());
        add(words, "rois", detector.rois());
        add(words, "frames", bench.frames());
        add(words, "seconds", bench.seconds());
        add(words, "warmup", bench.warmup());
        add(words, "cpu", bench.cpu());
        return words;
    }

    private static void add(List<String> words, String option, Object value) {
        if (value != null) {
            words.add("--" + option + "=" + value);
        }
    }
}
