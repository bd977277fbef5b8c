package io.pocketdet.app;

import io.pocketdet.Bench;
import io.pocketdet.BenchOptions;
import io.pocketdet.DetectorOptions;
import io.pocketdet.PocketDetException;
import io.pocketdet.app.logic.BenchRequest;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.LoadMarks;
import io.pocketdet.app.logic.ResultFile;
import io.pocketdet.app.logic.ThermalState;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;

/** Answers a request that came by adb: the library's document in a file, or why there is none. */
public final class HeadlessBench {
    /** Knows the app's bundles. */
    public interface Catalog {
        /** The folder of a bundle; null if none that can be used has this name. */
        File find(String name) throws IOException;
    }

    private HeadlessBench() {
    }

    /**
     * Does what the extras say and leaves the result in the folder; true if it is done, false if the sentence there
     * says why not. Throws IOException or IllegalArgumentException if nothing can be left there at all. One at a time:
     * a second one waits for the end of the first.
     */
    public static synchronized boolean answer(Catalog catalog, LoadMarks marks, Supplier<ThermalState> thermal,
            File folder, Map<String, Object> extras) throws IOException {
        ResultFile result = new ResultFile(folder, BenchRequest.fileName(extras));
        result.begin();
        try {
            result.done(document(catalog, marks, thermal, BenchRequest.from(extras)));
            return true;
        } catch (PocketDetException | IllegalArgumentException | IOException | CancellationException
                | OutOfMemoryError error) {
            result.failed(String.valueOf(error.getMessage()));
            return false;
        }
    }

    private static String document(
            Catalog catalog, LoadMarks marks, Supplier<ThermalState> thermal, BenchRequest request) throws IOException {
        if (request.command == BenchRequest.Command.MACHINE) {
            return Bench.machine();
        }
        File bundle = bundle(catalog, request.bundle);
        String digest = BundleCatalog.digest(bundle);
        DetectorOptions options = DetectorOptions.builder()
                                          .precision(request.precision)
                                          .inputSize(request.size)
                                          .rois(request.rois)
                                          .digest(request.digest == null ? digest : request.digest)
                                          .build();
        if (request.command == BenchRequest.Command.VERIFY) {
            return marks.during(digest, () -> Bench.verify(bundle, options));
        }
        List<File> images = new ArrayList<>();
        for (String path : request.images) {
            images.add(new File(path));
        }
        BenchOptions bench = BenchOptions.builder()
                                     .frames(request.frames)
                                     .seconds(request.seconds)
                                     .warmup(request.warmup)
                                     .cpu(request.cpu)
                                     .images(images)
                                     .layers(request.layers)
                                     .build();
        return Benchmark.run(marks, thermal, bundle, options, bench);
    }

    private static File bundle(Catalog catalog, String name) throws IOException {
        File found = name.startsWith("/") ? new File(name) : catalog.find(name);
        if (found == null) {
            throw new IOException("there is no usable bundle named '" + name + "' in the app");
        }
        return found;
    }
}
