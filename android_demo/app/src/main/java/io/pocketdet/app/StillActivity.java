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
import io.pocketdet.DetectorOptions;
import io.pocketdet.Frame;
import io.pocketdet.PocketDetException;
import io.pocketdet.app.draw.Box;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.Choice;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Collections;
import java.util.Locale;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Boxes on one image: chosen from the device, or sent here by another app. */
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
        view.setLeastScore(new Settings(this).leastScore());
        setContentView(view);
        Uri sent = sent();
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

    /** What another app sends; null if it is no URI. */
    private Uri sent() {
        try {
            Object stream = getIntent().getParcelableExtra(Intent.EXTRA_STREAM);
            return stream instanceof Uri ? (Uri) stream : null;
        } catch (RuntimeException error) { // another app may put anything there, which is read only now
            return null;
        }
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

    private void show(Uri image) {
        shown = image;
        view.setAlarm(null, null);
        background.execute(() -> {
            try {
                Bitmap upright = read(image);
                if (upright != null) {
                    onScreen(() -> showImage(upright));
                    detect(upright);
                }
            } catch (IOException | PocketDetException | OutOfMemoryError error) {
                fail(Texts.sentence(this, error));
            }
        });
    }

    private void showImage(Bitmap upright) {
        view.setResult(null); // which an image before may have left meanwhile
        view.setImage(upright);
    }

    /** The image upright, or null after showing why there is none: the app that sent it may throw anything. */
    private Bitmap read(Uri image) {
        try {
            return ImageLoader.read(getContentResolver(), image);
        } catch (IOException | RuntimeException error) {
            fail(getString(R.string.still_unreadable, Texts.sentence(this, error)));
            return null;
        }
    }

    private void detect(Bitmap upright) throws IOException {
        Bundles bundles = new Bundles(this);
        Choice choice = new Settings(this).choice();
        BundleCatalog.Selection found = bundles.scan().choose(new Settings(this).bundle());
        if (found.entry == null) {
            fail(Texts.noModel(this, found, bundles.pushed()));
            return;
        }
        String loading = getString(R.string.status_loading, found.entry.name);
        onScreen(() -> view.setStatus(Collections.singletonList(loading)));
        onScreen(() -> view.setNotice(Texts.notice(this, found.entry, found.skipped)));
        String digest = BundleCatalog.digest(found.entry.folder);
        DetectorOptions options = DetectorWorker.options(choice, digest);
        ImageRun run = bundles.marks().during(digest, () -> detect(upright, found.entry, options));
        onScreen(() -> {
            view.setResult(run.result);
            view.setStatus(Arrays.asList(run.title, run.found));
            view.setContentDescription(run.title + ". " + run.found);
        });
    }

    private ImageRun detect(Bitmap upright, BundleEntry entry, DetectorOptions options) {
        ByteBuffer pixels = ByteBuffer.allocateDirect(upright.getByteCount());
        upright.copyPixelsToBuffer(pixels);
        pixels.rewind();
        Frame frame = Frame.rgba(pixels, upright.getWidth(), upright.getHeight(), upright.getRowBytes());
        try (Detector detector = Detector.open(entry.folder, options)) {
            float leastScore = new Settings(this).leastScore();
            Result result = new Result(detector.detect(frame), false);
            String times = String.format(Locale.getDefault(), "%.1f", result.totalMs);
            return new ImageRun(result, entry.name + " · " + Texts.precision(this, detector.info()),
                    getString(R.string.status_still, Box.atLeast(result.boxes, leastScore).size(), times));
        }
    }

    private void fail(String sentence) {
        onScreen(() -> {
            view.setStatus(Collections.emptyList());
            view.setAlarm(getString(R.string.failed_title), sentence);
        });
    }

    private void onScreen(Runnable event) {
        main.post(() -> {
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

    private static final class ImageRun {
        final Result result;
        final String title;
        final String found;

        ImageRun(Result result, String title, String found) {
            this.result = result;
            this.title = title;
            this.found = found;
        }
    }
}
