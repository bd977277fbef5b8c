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
        work(() -> outcome(found), this::show);
    }

    private Outcome outcome(BundleCatalog.Selection found) throws IOException {
        BundleEntry entry = found.entry;
        String digest = BundleCatalog.digest(entry.folder);
        DetectorOptions options = DetectorWorker.options(new Settings(this).choice(), digest);
        return new Bundles(this).marks().during(digest, () -> {
            try (Detector detector = Detector.open(entry.folder, options)) {
                SelfTest test = detector.selfTest();
                String title = entry.name + " · " + Texts.precision(this, detector.info());
                return new Outcome(title, test, Texts.notice(this, entry, found.skipped));
            }
        });
    }

    private void show(Outcome outcome) {
        List<SelfTestPainter.Row> rows = new ArrayList<>();
        for (SelfTest.Check check : outcome.test.checks()) {
            rows.add(new SelfTestPainter.Row(
                    check.stage(), check.ok(), check.maxAbs(), check.tolerance(), check.note(), check.proved()));
        }
        String verdict = Texts.verdict(this, outcome.test) + (outcome.notice == null ? "" : " " + outcome.notice);
        Theme theme = Themes.of(this);
        showPainted(surface
                -> SelfTestPainter.paint(surface, outcome.title, verdict, rows, theme),
                outcome.title + ". " + verdict);
    }

    private static final class Outcome {
        final String title;
        final SelfTest test;
        final String notice;

        Outcome(String title, SelfTest test, String notice) {
            this.title = title;
            this.test = test;
            this.notice = notice;
        }
    }
}
