package io.pocketdet.app;

import android.os.Build;
import android.os.Bundle;
import android.view.View;
import android.view.WindowManager;
import android.widget.TextView;
import io.pocketdet.app.logic.BundleCatalog;
import java.io.IOException;

/** A screen that waits for one long piece of work, then shows what came of it or why nothing did. */
abstract class TextActivity extends WorkingActivity {
    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.text);
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

    /** A phone that sleeps measures itself asleep, and an app that is not seen is kept off the big cores. */
    @SuppressWarnings("deprecation") // the flags are what API 26 has
    final void stayAwake() {
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.O_MR1) {
            setShowWhenLocked(true);
            setTurnScreenOn(true);
        } else {
            getWindow().addFlags(
                    WindowManager.LayoutParams.FLAG_TURN_SCREEN_ON | WindowManager.LayoutParams.FLAG_SHOW_WHEN_LOCKED);
        }
    }

    @Override
    final void showFailure(String sentence) {
        showMessage(sentence, false);
    }

    final void showMessage(String message, boolean working) {
        findViewById(R.id.progress).setVisibility(working ? View.VISIBLE : View.GONE);
        ((TextView) findViewById(R.id.message)).setText(message);
    }
}
