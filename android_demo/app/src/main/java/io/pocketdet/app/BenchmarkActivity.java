package io.pocketdet.app;

import android.os.Bundle;
import android.view.Menu;
import android.view.MenuItem;
import io.pocketdet.Bench;
import io.pocketdet.BenchOptions;
import io.pocketdet.app.logic.BenchSummary;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.MachineCores;
import io.pocketdet.app.logic.ResultFile;
import java.util.Locale;

/** A measurement of the chosen bundle by the protocol of `pocketdet bench`, shown on the screen. */
public final class BenchmarkActivity extends TextActivity {
    private boolean measuring;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        stayAwake();
        work(this::chosen, found -> measure(found, R.id.menu_quick));
    }

    /** As `pocketdet bench`, --quick or --layers, by the menu item; core and arithmetic as chosen. */
    private void measure(BundleCatalog.Selection found, int how) {
        BundleEntry entry = found.entry;
        measuring = true;
        showMessage(getString(R.string.bench_running, entry.name), true);
        Bundles bundles = new Bundles(this);
        work(() -> {
            try {
                String digest = BundleCatalog.digest(entry.folder);
                String document = Benchmark.run(bundles.marks(), new Thermal(this)::read, entry.folder,
                        DetectorWorker.options(new Settings(this).choice().onOneThread(), digest), options(how));
                String name = entry.folder.getName() + "-" + System.currentTimeMillis() + ".json";
                new ResultFile(bundles.results(), name).done(document);
                return new String[] {document, name};
            } finally {
                onScreen(() -> measuring = false);
            }
        }, saved -> show(BenchSummary.parse(saved[0]), saved[1], Texts.notice(this, entry, found.skipped)));
    }

    private static BenchOptions options(int how) {
        boolean quick = how != R.id.menu_full;
        return BenchOptions.builder()
                .warmup(quick ? 5 : 20)
                .frames(quick ? 100 : 1024)
                .seconds(quick ? 10.0 : 60.0)
                .layers(how == R.id.menu_layers)
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
        if (!summary.slowestLayers.isEmpty()) {
            text.append("\n\n").append(getString(R.string.bench_layers)).append('\n');
            text.append(String.join("\n", summary.slowestLayers));
        }
        text.append("\n\n").append(notice == null ? "" : notice + "\n\n");
        showMessage(text + getString(R.string.bench_footnote, file), false);
    }

    private static String number(double value) {
        return String.format(Locale.getDefault(), "%.2f", value);
    }

    @Override
    public boolean onCreateOptionsMenu(Menu menu) {
        getMenuInflater().inflate(R.menu.bench, menu);
        return true;
    }

    @Override
    public boolean onOptionsItemSelected(MenuItem item) {
        int how = item.getItemId();
        if (how != R.id.menu_quick && how != R.id.menu_full && how != R.id.menu_layers) {
            return super.onOptionsItemSelected(item);
        }
        if (!measuring) {
            work(this::chosen, found -> measure(found, how));
        }
        return true;
    }
}
