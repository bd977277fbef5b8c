package io.pocketdet.app;

import android.os.Bundle;
import io.pocketdet.app.logic.BundleEntry;
import java.io.File;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;

/**
 * A measurement by the protocol of `pocketdet bench`, of what the extras of the intent say, for
 * `pocketdet bench --target adb --via app` (see {@link io.pocketdet.app.logic.BenchRequest}).
 */
public final class BenchActivity extends TextActivity {
    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        stayAwake();
        if (saved != null) {
            finish(); // the request was answered, or cancelled, when the screen before this one was destroyed
            return;
        }
        showMessage(getString(R.string.bench_remote), true);
        Bundles bundles = new Bundles(this);
        Thermal thermal = new Thermal(this);
        Map<String, Object> extras = extras(getIntent().getExtras());
        work(()
                        -> HeadlessBench.answer(this::find, bundles.marks(), thermal::read, bundles.results(), extras),
                answered -> finish());
    }

    private static Map<String, Object> extras(Bundle extras) {
        Map<String, Object> found = new HashMap<>();
        if (extras != null) {
            for (String name : extras.keySet()) {
                found.put(name, extras.get(name));
            }
        }
        return found;
    }

    private File find(String name) throws IOException {
        BundleEntry entry = new Bundles(this).scan().find(name);
        return entry == null ? null : entry.folder;
    }
}
