package io.pocketdet.app;

import android.os.Bundle;
import io.pocketdet.Detector;
import io.pocketdet.SelfTest;
import io.pocketdet.app.draw.SelfTestPainter;
import io.pocketdet.app.draw.Theme;
import io.pocketdet.app.logic.BundleEntry;
import java.util.ArrayList;
import java.util.List;

/** The golden picture of the chosen bundle, replayed on this device, stage by stage. */
public final class SelfTestActivity extends PaintedActivity {
    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        showMessage("", true);
        work(this::chosen, this::test);
    }

    private void test(BundleEntry entry) {
        showMessage(getString(R.string.selftest_running, entry.name), true);
        work(
                () -> {
                    try (Detector detector =
                            Detector.open(entry.folder, DetectorWorker.options(new Settings(this).choice()))) {
                        SelfTest test = detector.selfTest();
                        return new Outcome(entry.name + " · " + Texts.precision(this, detector.info()), test);
                    }
                },
                this::show);
    }

    private void show(Outcome outcome) {
        List<SelfTestPainter.Row> rows = new ArrayList<>();
        for (SelfTest.Check check : outcome.test.checks()) {
            rows.add(
                    new SelfTestPainter.Row(
                            check.stage(), check.ok(), check.maxAbs(), check.tolerance(), check.note()));
        }
        String verdict = Texts.verdict(this, outcome.test);
        Theme theme = Themes.of(this);
        showPainted(
                surface -> SelfTestPainter.paint(surface, outcome.title, verdict, rows, theme),
                outcome.title + ". " + verdict);
    }

    private static final class Outcome {
        final String title;
        final SelfTest test;

        Outcome(String title, SelfTest test) {
            this.title = title;
            this.test = test;
        }
    }
}
