package io.pocketdet;

import java.io.File;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Commands of pocketdet-run for benchmarks, in this process. They return the same JSON documents. */
public final class Bench {
    private Bench() {
    }

    /**
     * Measures a bundle on the calling thread: milliseconds per stage and core of each frame; clocks, temperatures,
     * load and battery before and after. Does not decide whether they are valid. Interrupting the thread ends the run
     * before its next frame. With {@link BenchOptions#cpu} the thread may use all cores afterwards.
     *
     * @return the JSON document of `pocketdet-run bench`
     * @throws PocketDetException as {@link Detector#open}
     * @throws java.util.concurrent.CancellationException if the thread is interrupted; its interrupt status stays set
     */
    public static String run(File bundle, DetectorOptions detector, BenchOptions bench) {
        List<String> arguments = arguments("bench", bundle, detector);
        for (File image : bench.images()) {
            arguments.add(image.getAbsolutePath());
        }
        add(arguments, "threads", detector.threads());
        add(arguments, "score-threshold", detector.scoreThreshold());
        add(arguments, "nms-iou", detector.nmsIou());
        add(arguments, "max-detections", detector.maxDetections());
        add(arguments, "rois", detector.rois());
        add(arguments, "frames", bench.frames());
        add(arguments, "seconds", bench.seconds());
        add(arguments, "warmup", bench.warmup());
        add(arguments, "cpu", bench.cpu());
        if (bench.layers()) {
            arguments.add("--layers");
        }
        return document(arguments);
    }

    /**
     * Verifies the golden image as {@link Detector#selfTest}, at all input sizes of the bundle if the options choose
     * none. Uses precision, input size and digest of the options.
     *
     * @return the JSON document of `pocketdet-run verify`
     * @throws PocketDetException as {@link Detector#open}
     */
    public static String verify(File bundle, DetectorOptions detector) {
        return document(arguments("verify", bundle, detector));
    }

    /** Returns a JSON document about this machine: processor, clocks, temperatures and load. */
    public static String machine() {
        List<String> arguments = new ArrayList<>();
        arguments.add("machine");
        return document(arguments);
    }

    private static List<String> arguments(String command, File bundle, DetectorOptions detector) {
        List<String> arguments = new ArrayList<>();
        arguments.add(command);
        arguments.add(bundle.getAbsolutePath());
        add(arguments, "precision", detector.precision());
        add(arguments, "digest", Detector.checkedDigest(detector));
        add(arguments, "size", detector.inputSize());
        return arguments;
    }

    private static void add(List<String> arguments, String option, @Nullable Object value) {
        if (value != null) {
            arguments.add("--" + option + "=" + value);
        }
    }

    private static String document(List<String> arguments) {
        Native.load();
        return Native.tool(arguments.toArray(new String[0]));
    }
}
