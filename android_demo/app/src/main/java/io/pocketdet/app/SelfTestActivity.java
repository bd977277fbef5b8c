package io.pocketdet.app;

import android.os.Bundle;
import io.pocketdet.Detector;
import io.pocketdet.DetectorOptions;
import io.pocketdet.SelfTest;
import io.pocketdet.app.draw.SelfTestPainter;
import io.pocketdet.app.draw.Theme;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** The golden image of the chosen bundle, replayed on this device, stage by stage. */
public final class SelfTestActivity extends PaintedActivity {
    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        showMessage("", true);
        work(this::chosen, this::test);
    }

    private void test(BundleCatalog.Selection found) {
        showMessage(getString(R.string.selftest_running, found.entry.name), true);
        work(() -> run(found), this::show);
    }

    private TestRun run(BundleCatalog.Selection found) throws IOException {
        BundleEntry entry = found.entry;
        String digest = BundleCatalog.digest(entry.folder);
        DetectorOptions options = DetectorWorker.options(new Settings(this).choice(), digest);
        return new Bundles(this).marks().during(digest, () -> {
            try (Detector detector = Detector.open(entry.folder, options)) {
                SelfTest test = detector.selfTest();
                String title = entry.name + " · " + Texts.precision(this, detector.info());
                return new TestRun(title, test, Texts.notice(this, entry, found.skipped));
            }
        });
    }

    private void show(TestRun run) {
        List<SelfTestPainter.Row> rows = new ArrayList<>();
        for (SelfTest.Check check : run.test.checks()) {
            rows.add(new SelfTestPainter.Row(
                    check.stage(), check.ok(), check.maxAbs(), check.tolerance(), check.note(), check.proved()));
        }
        String verdict = Texts.verdict(this, run.test) + (run.notice == null ? "" : " " + run.notice);
        Theme theme = Themes.of(this);
        showPainted(
                surface -> SelfTestPainter.paint(surface, run.title, verdict, rows, theme), run.title + ". " + verdict);
    }

    private static final class TestRun {
        final String title;
        final SelfTest test;
        final String notice;

        TestRun(String title, SelfTest test, String notice) {
            this.title = title;
            this.test = test;
            this.notice = notice;
        }
    }
}
