package io.pocketdet.app;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.graphics.Bitmap;
import android.net.Uri;
import android.os.Bundle;
import android.os.Handler;
import android.os.Looper;
import android.view.Menu;
import android.view.MenuItem;
import io.pocketdet.Detector;
import io.pocketdet.Frame;
import io.pocketdet.PocketDetException;
import io.pocketdet.app.logic.BundleEntry;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Collections;
import java.util.Locale;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Boxes on one picture: chosen from the device, or sent here by another app. */
public final class StillActivity extends Activity {
    private static final int OPEN_REQUEST = 1;
    private static final String SHOWN = "shown";

    private final Handler main = new Handler(Looper.getMainLooper());
    private final ExecutorService background = Executors.newSingleThreadExecutor();
    private OverlayView view;
    private Uri shown;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        view = new OverlayView(this, null);
        view.setFitsSystemWindows(true);
        setContentView(view);
        Uri sent = getIntent().getParcelableExtra(Intent.EXTRA_STREAM);
        Uri before = saved == null ? null : saved.getParcelable(SHOWN);
        if (before != null || sent != null) {
            show(before == null ? sent : before);
        } else {
            view.setStatus(Collections.singletonList(getString(R.string.still_choose)));
            if (saved == null) {
                choose();
            }
        }
    }

    @Override
    protected void onSaveInstanceState(Bundle state) {
        super.onSaveInstanceState(state);
        state.putParcelable(SHOWN, shown);
    }

    @Override
    protected void onDestroy() {
        background.shutdown();
        super.onDestroy();
    }

    private void choose() {
        Intent open = new Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("image/*");
        try {
            startActivityForResult(open, OPEN_REQUEST);
        } catch (ActivityNotFoundException error) {
            view.setAlarm(getString(R.string.failed_title), getString(R.string.still_no_chooser));
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        if (request == OPEN_REQUEST && result == RESULT_OK && data != null && data.getData() != null) {
            show(data.getData());
        }
    }

    private void show(Uri picture) {
        shown = picture;
        view.setResult(null);
        view.setAlarm(null, null);
        background.execute(
                () -> {
                    try {
                        Bitmap upright = Pictures.read(getContentResolver(), picture);
                        onScreen(() -> view.setPicture(upright));
                        detect(upright);
                    } catch (IOException | SecurityException error) {
                        fail(getString(R.string.still_unreadable, Texts.sentence(error)));
                    } catch (PocketDetException error) {
                        fail(Texts.sentence(error));
                    }
                });
    }

    private void detect(Bitmap upright) throws IOException {
        Bundles bundles = new Bundles(this);
        Settings settings = new Settings(this);
        BundleEntry entry = bundles.scan().choose(settings.bundle());
        if (entry == null) {
            fail(getString(R.string.alarm_bundles, String.valueOf(bundles.pushed())));
            return;
        }
        onScreen(() -> view.setStatus(Collections.singletonList(getString(R.string.status_loading, entry.name))));
        try (Detector detector = Detector.open(entry.folder, DetectorWorker.options(settings.choice()))) {
            ByteBuffer pixels = ByteBuffer.allocateDirect(upright.getByteCount());
            upright.copyPixelsToBuffer(pixels);
            pixels.rewind();
            Frame frame = Frame.rgba(pixels, upright.getWidth(), upright.getHeight(), upright.getRowBytes());
            Result result = new Result(detector.detect(frame), false, settings.choice().leastScore);
            String times = String.format(Locale.getDefault(), "%.1f", result.totalMs);
            String title = entry.name + " · " + Texts.precision(this, detector.info());
            String found = getString(R.string.status_still, result.boxes.size(), times);
            onScreen(
                    () -> {
                        view.setResult(result);
                        view.setStatus(Arrays.asList(title, found));
                        view.setContentDescription(title + ". " + found);
                    });
        }
    }

    private void fail(String sentence) {
        onScreen(
                () -> {
                    view.setStatus(Collections.emptyList());
                    view.setAlarm(getString(R.string.failed_title), sentence);
                });
    }

    private void onScreen(Runnable event) {
        main.post(
                () -> {
                    if (!isDestroyed()) {
                        event.run();
                    }
                });
    }

    @Override
    public boolean onCreateOptionsMenu(Menu menu) {
        getMenuInflater().inflate(R.menu.still, menu);
        return true;
    }

    @Override
    public boolean onOptionsItemSelected(MenuItem item) {
        if (item.getItemId() == R.id.menu_open) {
            choose();
            return true;
        }
        return super.onOptionsItemSelected(item);
    }
}
