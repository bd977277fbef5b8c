package io.pocketdet.app;

import android.app.Activity;
import android.os.Bundle;
import android.os.Handler;
import android.os.Looper;
import android.view.View;
import android.widget.TextView;
import io.pocketdet.PocketDetException;
import io.pocketdet.app.logic.BundleCatalog;
import java.io.IOException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** A screen that waits for one long piece of work, then shows what came of it or why nothing did. */
abstract class TextActivity extends Activity {
    /** Work off the screen's thread. */
    interface Work<T> {
        T run() throws IOException;
    }

    interface Use<T> {
        void use(T result);
    }

    private final Handler main = new Handler(Looper.getMainLooper());
    private final ExecutorService background = Executors.newSingleThreadExecutor();

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.text);
    }

    @Override
    protected void onDestroy() {
        background.shutdownNow(); // interrupts a measurement, which ends before its next frame
        super.onDestroy();
    }

    /** Does the work and uses its result on the screen's thread, if the screen is still there; shows what it throws. */
    final <T> void work(Work<T> work, Use<T> then) {
        background.execute(() -> {
            try {
                T result = work.run();
                onScreen(() -> then.use(result));
            } catch (CancellationException error) {
                return; // the screen is gone
            } catch (IOException | PocketDetException | IllegalArgumentException | OutOfMemoryError error) {
                onScreen(() -> showMessage(Texts.sentence(this, error), false));
            }
        });
    }

    /** From any thread. */
    final void onScreen(Runnable event) {
        main.post(() -> {
            if (!isDestroyed()) {
                event.run();
            }
        });
    }

    /** The bundle that was chosen last, or what runs in its place. Not for the screen's thread. */
    final BundleCatalog.Selection chosen() throws IOException {
        Bundles bundles = new Bundles(this);
        BundleCatalog.Selection found = bundles.scan().choose(new Settings(this).bundle());
        if (found.entry == null) {
            throw new IOException(Texts.noModel(this, found, bundles.pushed()));
        }
        return found;
    }

    final void showMessage(String message, boolean working) {
        findViewById(R.id.progress).setVisibility(working ? View.VISIBLE : View.GONE);
        ((TextView) findViewById(R.id.message)).setText(message);
    }
}
