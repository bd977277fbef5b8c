package io.pocketdet.app;

import io.pocketdet.BundleInfo;
import io.pocketdet.Detector;
import io.pocketdet.DetectorOptions;
import io.pocketdet.SelfTest;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.Choice;
import io.pocketdet.app.logic.InferenceLoop;

/** The library's detector as an inference loop wants it. */
final class DetectorWorker implements InferenceLoop.Worker<CameraFrame, Result> {
    /** Told on the loop's thread. */
    interface Report {
        void tested(BundleInfo info, SelfTest test);
    }

    private final Detector detector;
    private final Report report;
    private final float leastScore;

    DetectorWorker(BundleEntry entry, Choice choice, Report report) {
        detector = Detector.open(entry.folder, options(choice));
        this.report = report;
        leastScore = choice.leastScore;
    }

    static DetectorOptions options(Choice choice) {
        return DetectorOptions.builder()
                .precision(choice.precision.isEmpty() ? null : choice.precision)
                .threads(choice.threads)
                .bigCores(choice.bigCores)
                .build();
    }

    @Override
    public boolean test() {
        SelfTest test = detector.selfTest();
        report.tested(detector.info(), test);
        return test.ok();
    }

    @Override
    public Result run(CameraFrame frame) {
        return new Result(detector.detect(frame.frame()), frame.mirrored, leastScore);
    }

    @Override
    public void close() {
        detector.close();
    }
}
