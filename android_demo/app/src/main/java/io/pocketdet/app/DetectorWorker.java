package io.pocketdet.app;

import io.pocketdet.BundleInfo;
import io.pocketdet.Detections;
import io.pocketdet.Detector;
import io.pocketdet.DetectorOptions;
import io.pocketdet.SelfTest;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.Choice;
import io.pocketdet.app.logic.InferenceLoop;
import io.pocketdet.app.logic.LoadMarks;
import java.io.IOException;

/** The library's detector as an inference loop wants it. */
final class DetectorWorker implements InferenceLoop.Worker<CameraFrame, Result> {
    /** Called on the loop's thread. */
    interface Report {
        void tested(BundleInfo info, SelfTest test);
    }

    private final LoadMarks marks;
    private final Detector detector;
    private final Report report;
    private boolean ran;

    DetectorWorker(BundleEntry entry, Choice choice, LoadMarks marks, Report report) throws IOException {
        this.marks = marks;
        String digest = BundleCatalog.digest(entry.folder);
        detector = marks.during(digest, () -> Detector.open(entry.folder, options(choice, digest)));
        this.report = report;
    }

    /** `digest` is that of the load's mark, so that no other bundle is loaded under it. */
    static DetectorOptions options(Choice choice, String digest) {
        return DetectorOptions.builder()
                .digest(digest)
                .precision(choice.precision.isEmpty() ? null : choice.precision)
                .threads(choice.threads)
                .bigCores(choice.bigCores)
                .build();
    }

    @Override
    public boolean test() throws IOException {
        SelfTest test = marks.during(detector.info().digest(), detector::selfTest);
        report.tested(detector.info(), test);
        return test.ok();
    }

    @Override
    public Result run(CameraFrame frame) throws IOException {
        Detections found = ran ? detector.detect(frame.frame())
                               : marks.during(detector.info().digest(), () -> detector.detect(frame.frame()));
        ran = true;
        return new Result(found, frame.mirrored);
    }

    @Override
    public void close() {
        detector.close();
    }
}
