package io.pocketdet.app;

import android.os.Bundle;
import io.pocketdet.Detector;
import io.pocketdet.DetectorOptions;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import java.io.IOException;

/** The golden image of the chosen bundle, replayed on this device, stage by stage. */
public final class SelfTestActivity extends TextActivity {
    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        showMessage("", true);
        work(this::chosen, this::test);
    }

    private void test(BundleCatalog.Selection found) {
        showMessage(getString(R.string.selftest_running, found.entry.name), true);
        work(() -> run(found), text -> showMessage(text, false));
    }

    private String run(BundleCatalog.Selection found) throws IOException {
        BundleEntry entry = found.entry;
        String digest = BundleCatalog.digest(entry.folder);
        DetectorOptions options = DetectorWorker.options(new Settings(this).choice(), digest);
        return new Bundles(this).marks().during(digest, () -> {
            try (Detector detector = Detector.open(entry.folder, options)) {
                String title = entry.name + " · " + Texts.precision(this, detector.info());
                String notice = Texts.notice(this, entry, found.skipped);
                return title + "\n\n" + (notice == null ? "" : notice + "\n\n")
                        + Texts.selfTest(this, detector.selfTest());
            }
        });
    }
}
