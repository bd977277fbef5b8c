package io.pocketdet.app;

import android.os.Build;
import android.os.Bundle;
import android.view.View;
import android.view.WindowManager;
import android.widget.TextView;

/** A screen that waits for one long piece of work, then shows what came of it or why nothing did. */
abstract class TextActivity extends WorkingActivity {
    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.text);
    }

    /** Keeps the screen on: a sleeping phone runs slower, and an app in the background is kept off the big cores. */
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
