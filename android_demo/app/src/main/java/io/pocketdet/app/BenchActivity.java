package io.pocketdet.app;

import android.content.Intent;
import android.os.Build;
import android.os.Bundle;
import android.view.Menu;
import android.view.MenuItem;
import android.view.WindowManager;
import io.pocketdet.Bench;
import io.pocketdet.BenchOptions;
import io.pocketdet.app.logic.BenchSummary;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.LoadMarks;
import io.pocketdet.app.logic.MachineCores;
import io.pocketdet.app.logic.ResultFile;
import java.io.File;
import java.io.IOException;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * A measurement by the protocol of `pocketdet bench`: of the chosen bundle for whoever looks, or of what the extras of
 * the intent say for `pocketdet bench --target adb --via app` (see {@link io.pocketdet.app.logic.BenchRequest}).
 */
public final class BenchActivity extends TextActivity {
    private static final String FOLDER = "bench";

    private boolean measuring;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        stayAwake();
        Map<String, Object> extras = extras(getIntent());
        if (extras.isEmpty()) {
            work(this::chosen, found -> measure(found, true));
        } else if (saved != null) {
            finish(); // the request was answered, or cancelled, when the screen before this one was destroyed
        } else {
            showMessage(getString(R.string.bench_remote), true);
            LoadMarks marks = new Bundles(this).marks();
            work(() -> HeadlessBench.answer(this::find, marks, folder(), extras), answered -> finish());
        }
    }

    /** A phone that sleeps measures itself asleep, and an app that is not seen is kept off the big cores. */
    @SuppressWarnings("deprecation") // the flags are what API 26 has
    private void stayAwake() {
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.O_MR1) {
            setShowWhenLocked(true);
            setTurnScreenOn(true);
        } else {
            getWindow().addFlags(
                    WindowManager.LayoutParams.FLAG_TURN_SCREEN_ON | WindowManager.LayoutParams.FLAG_SHOW_WHEN_LOCKED);
        }
    }

    private static Map<String, Object> extras(Intent intent) {
        Map<String, Object> found = new HashMap<>();
        Bundle extras = intent.getExtras();
        if (extras != null) {
            for (String name : extras.keySet()) {
                found.put(name, extras.get(name));
            }
        }
        return found;
    }

    private File folder() throws IOException {
        File folder = getExternalFilesDir(FOLDER);
        if (folder == null) {
            throw new IOException(getString(R.string.failed_file, FOLDER));
        }
        return folder;
    }

    private File find(String name) throws IOException {
        BundleEntry entry = new Bundles(this).scan().find(name);
        return entry == null ? null : entry.folder;
    }

    /** As `pocketdet bench`, with or without --quick; core and arithmetic as chosen. */
    private void measure(BundleCatalog.Selection found, boolean quick) {
        BundleEntry entry = found.entry;
        measuring = true;
        showMessage(getString(R.string.bench_running, entry.name), true);
        work(() -> {
            try {
                String digest = BundleCatalog.digest(entry.folder);
                String document = HeadlessBench.run(new Bundles(this).marks(), entry.folder,
                        DetectorWorker.options(new Settings(this).choice(), digest), options(quick));
                String name = entry.folder.getName() + "-" + System.currentTimeMillis() + ".json";
                new ResultFile(folder(), name).done(document);
                return new String[] {document, name};
            } finally {
                onScreen(() -> measuring = false);
            }
        }, saved -> show(BenchSummary.parse(saved[0]), saved[1], Texts.notice(this, entry, found.skipped)));
    }

    private static BenchOptions options(boolean quick) {
        return BenchOptions.builder()
                .warmup(quick ? 5 : 20)
                .frames(quick ? 100 : 1024)
                .seconds(quick ? 10.0 : 60.0)
                .cpu(MachineCores.fastest(Bench.machine()))
                .build();
    }

    private void show(BenchSummary summary, String file, String notice) {
        String precision = summary.precision;
        if (!precision.equals(summary.precisionAsked)) {
            precision = getString(R.string.bench_asked, precision, summary.precisionAsked);
        }
        String core = summary.cpu < 0 ? getString(R.string.bench_cores) : getString(R.string.bench_core, summary.cpu);
        String rates = getString(R.string.bench_rates, number(summary.fps()), number(summary.p90));
        StringBuilder text = new StringBuilder(summary.bundle + "\n"
                + getString(R.string.bench_details, precision, summary.frames, core, summary.engine) + "\n\n"
                + number(summary.median) + " " + getString(R.string.milliseconds) + "\n" + rates + "\n\n"
                + getString(R.string.bench_stages));
        for (int i = 0; i < summary.stageMedians.length; i++) {
            text.append('\n').append(summary.stages.get(i)).append(": ").append(number(summary.stageMedians[i]));
        }
        text.append("\n\n").append(notice == null ? "" : notice + "\n\n");
        showMessage(text + getString(R.string.bench_footnote, file), false);
    }

    private static String number(double value) {
        return String.format(Locale.getDefault(), "%.2f", value);
    }

    @Override
    public boolean onCreateOptionsMenu(Menu menu) {
        if (extras(getIntent()).isEmpty()) {
            getMenuInflater().inflate(R.menu.bench, menu);
        }
        return true;
    }

    @Override
    public boolean onOptionsItemSelected(MenuItem item) {
        boolean quick = item.getItemId() == R.id.menu_quick;
        if (!quick && item.getItemId() != R.id.menu_full) {
            return super.onOptionsItemSelected(item);
        }
        if (!measuring) {
            work(this::chosen, found -> measure(found, quick));
        }
        return true;
    }
}
