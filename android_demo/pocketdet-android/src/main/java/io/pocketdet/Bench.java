package io.pocketdet;

import java.io.File;
import java.util.ArrayList;
import java.util.List;

/** The commands of pocketdet-run that a benchmark takes, in this process, as the JSON documents that it prints. */
public final class Bench {
    private Bench() {}

    /**
     * Times a bundle on the calling thread: every frame's milliseconds per stage and the core it ran on; clocks,
     * temperatures, load and battery around it. It judges nothing. Takes as long as the options say.
     *
     * Throws what {@link Detector#open} throws, and {@link UsageException} for options out of their ranges.
     */
    public static String run(File bundle, DetectorOptions detector, BenchOptions bench) {
        List<String> words = words("bench", bundle, detector);
        for (File image : bench.images()) {
            words.add(image.getAbsolutePath());
        }
        add(words, "threads", detector.threads());
        add(words, "score-threshold", detector.scoreThreshold());
        add(words, "nms-iou", detector.nmsIou());
        add(words, "max-detections", detector.maxDetections());
        add(words, "rois", detector.rois());
        add(words, "frames", bench.frames());
        add(words, "seconds", bench.seconds());
        add(words, "warmup", bench.warmup());
        add(words, "cpu", bench.cpu());
        return document(words);
    }

    /**
     * Replays the golden image, as {@link Detector#selfTest}. Of the options it uses precision and digest.
     *
     * Throws what {@link Detector#open} throws.
     */
    public static String verify(File bundle, DetectorOptions detector) {
        return document(words("verify", bundle, detector));
    }

    /** What this machine is, and its clocks, temperatures and load now. */
    public static String machine() {
        List<String> words = new ArrayList<>();
        words.add("machine");
        return document(words);
    }

    private static List<String> words(String command, File bundle, DetectorOptions detector) {
        List<String> words = new ArrayList<>();
        words.add(command);
        words.add(bundle.getAbsolutePath());
        add(words, "precision", detector.precision());
        add(words, "digest", Detector.checkedDigest(detector));
        return words;
    }

    private static void add(List<String> words, String option, Object value) {
        if (value != null) {
            words.add("--" + option + "=" + value);
        }
    }

    private static String document(List<String> words) {
        Native.load();
        return Native.tool(words.toArray(new String[0]));
    }
}
