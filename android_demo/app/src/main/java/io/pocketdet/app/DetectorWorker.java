package io.pocketdet.app;

import android.content.Context;
import io.pocketdet.BundleInfo;
import io.pocketdet.Detections;
import io.pocketdet.Detector;
import io.pocketdet.DetectorOptions;
import io.pocketdet.EngineException;
import io.pocketdet.Frame;
import io.pocketdet.SelfTest;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.Choice;
import io.pocketdet.app.logic.InferenceLoop;
import io.pocketdet.app.logic.LoadMarks;
import java.io.IOException;
import java.util.function.BiConsumer;
import java.util.function.BooleanSupplier;

/** The library's detector as an inference loop wants it. */
final class DetectorWorker implements InferenceLoop.Worker<CameraSession.CameraImage, Result> {
    private final LoadMarks marks;
    private final Detector detector;
    private final BooleanSupplier keepsImages; // whether results are to hold their image
    private final BiConsumer<BundleInfo, SelfTest> tested;
    private final WorkHints hints;
    private boolean ran;

    /** For the calling thread. */
    DetectorWorker(Context context, BundleEntry entry, Choice choice, LoadMarks marks, BooleanSupplier keepsImages,
            BiConsumer<BundleInfo, SelfTest> tested) throws IOException {
        this.marks = marks;
        String digest = BundleCatalog.digest(entry.folder);
        detector = marks.during(digest, () -> Detector.open(entry.folder, options(choice, digest)));
        this.keepsImages = keepsImages;
        this.tested = tested;
        hints = new WorkHints(context);
    }

    /** `digest` is that of the load's mark, so that no other bundle is loaded under it. */
    static DetectorOptions options(Choice choice, String digest) {
        return DetectorOptions.builder()
                .digest(digest)
                .precision(choice.precision.isEmpty() ? null : choice.precision)
                .threads(Math.min(choice.threads, maxThreads()))
                .bigCores(choice.bigCores)
                .build();
    }

    /** How many threads can be chosen; 1 where the library is missing, which opening a bundle explains. */
    static int maxThreads() {
        try {
            return Math.min(Detector.maxThreads(), Choice.THREADS.size());
        } catch (EngineException error) {
            return 1;
        }
    }

    @Override
    public boolean test() throws IOException {
        SelfTest test = marks.during(detector.info().digest(), detector::selfTest);
        tested.accept(detector.info(), test);
        return test.ok();
    }

    @Override
    public Result run(CameraSession.CameraImage frame) throws IOException {
        Frame image = frame.frame();
        Detections found =
                ran ? detector.detect(image) : marks.during(detector.info().digest(), () -> detector.detect(image));
        ran = true;
        hints.report(found.times().total());
        return new Result(found, frame.mirrored, keepsImages.getAsBoolean() ? image.rgb() : null);
    }

    @Override
    public void close() {
        hints.close();
        detector.close();
    }
}
