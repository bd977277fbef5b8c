package io.pocketdet.app;

import io.pocketdet.Bench;
import io.pocketdet.BenchOptions;
import io.pocketdet.DetectorOptions;
import io.pocketdet.PocketDetException;
import io.pocketdet.app.logic.BenchRequest;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.LoadMarks;
import io.pocketdet.app.logic.ResultFile;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;

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
    public static synchronized boolean answer(Catalog catalog, LoadMarks marks, File folder, Map<String, Object> extras)
            throws IOException {
        ResultFile result = new ResultFile(folder, BenchRequest.fileName(extras));
        result.begin();
        try {
            result.done(document(catalog, marks, BenchRequest.from(extras)));
            return true;
        } catch (PocketDetException | IllegalArgumentException | IOException | CancellationException
                | OutOfMemoryError error) {
            result.failed(String.valueOf(error.getMessage()));
            return false;
        }
    }

    private static String document(Catalog catalog, LoadMarks marks, BenchRequest request) throws IOException {
        if (request.command == BenchRequest.Command.MACHINE) {
            return Bench.machine();
        }
        File bundle = bundle(catalog, request.bundle);
        String digest = BundleCatalog.digest(bundle);
        DetectorOptions options = DetectorOptions.builder()
                                          .precision(request.precision)
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
                                     .build();
        return run(marks, bundle, options, bench);
    }

    /**
     * The document of a measurement. The mark covers a load and one frame before it: a measurement that the user ends
     * with the app is no bundle that crashes. Ends with a CancellationException once its thread is interrupted. One at
     * a time: a second one waits for the end of the first.
     */
    static synchronized String run(LoadMarks marks, File bundle, DetectorOptions options, BenchOptions bench)
            throws IOException {
        BenchOptions once = BenchOptions.builder().warmup(0).frames(1).images(bench.images()).build();
        marks.during(BundleCatalog.digest(bundle), () -> Bench.run(bundle, options, once));
        return Bench.run(bundle, options, bench);
    }

    private static File bundle(Catalog catalog, String name) throws IOException {
        File found = name.startsWith("/") ? new File(name) : catalog.find(name);
        if (found == null) {
            throw new IOException("there is no usable bundle named '" + name + "' in the app");
        }
        return found;
    }
}
