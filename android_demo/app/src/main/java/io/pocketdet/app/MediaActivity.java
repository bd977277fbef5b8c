package io.pocketdet.app;

import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.graphics.Bitmap;
import android.media.MediaMetadataRetriever;
import android.net.Uri;
import android.os.Bundle;
import android.view.Menu;
import android.view.MenuItem;
import io.pocketdet.Detector;
import io.pocketdet.DetectorOptions;
import io.pocketdet.Frame;
import io.pocketdet.app.draw.Box;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.FrameStats;
import io.pocketdet.app.logic.VideoSteps;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Collections;
import java.util.Locale;
import java.util.concurrent.CancellationException;

/** Boxes on an image or on a video's frames: chosen from the device, or sent here by another app. */
public final class MediaActivity extends WorkingActivity {
    private static final int OPEN_REQUEST = 1;
    private static final String SHOWN = "shown";

    private OverlayView view;
    private Panels panels;
    private volatile Uri shown; // a video ends before its next frame once another file is chosen

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.screen);
        view = findViewById(R.id.overlay);
        view.setLeastScore(new Settings(this).leastScore());
        panels = new Panels(this);
        Uri sent = sent();
        Uri before = saved == null ? null : saved.getParcelable(SHOWN);
        if (before != null || sent != null) {
            show(before == null ? sent : before);
        } else {
            panels.setStatus(Collections.singletonList(getString(R.string.media_choose)));
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
        try {
            startActivityForResult(MediaPicker.intent(), OPEN_REQUEST);
        } catch (ActivityNotFoundException error) {
            showFailure(getString(R.string.media_no_chooser));
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        if (request == OPEN_REQUEST && result == RESULT_OK && data != null && data.getData() != null) {
            show(data.getData());
        }
    }

    private void show(Uri media) {
        shown = media;
        panels.setAlarm(null, null);
        work(
                ()
                        -> {
                    detect(media);
                    return media;
                },
                done -> {});
    }

    private void detect(Uri media) throws IOException {
        String type = String.valueOf(getContentResolver().getType(media));
        boolean isVideo = type.startsWith("video/");
        Bitmap image = isVideo ? null : readable(media, () -> ImageLoader.read(getContentResolver(), media));
        if (image != null) {
            onScreen(() -> showFrame(image, null));
        }
        Bundles bundles = new Bundles(this);
        BundleCatalog.Selection found = chosen();
        String loading = getString(R.string.status_loading, found.entry.name);
        onScreen(() -> panels.setStatus(Collections.singletonList(loading)));
        onScreen(() -> panels.setNotice(Texts.notice(this, found.entry, found.skipped)));
        String digest = BundleCatalog.digest(found.entry.folder);
        DetectorOptions options = DetectorWorker.options(new Settings(this).choice(), digest);
        try (Detector detector = bundles.marks().during(digest, () -> Detector.open(found.entry.folder, options))) {
            String title = found.entry.name + " · " + Texts.precision(this, detector.info());
            if (isVideo) {
                readable(media, () -> video(media, detector, title));
            } else {
                Result result = bundles.marks().during(digest, () -> detect(image, detector));
                String boxes = getString(R.string.status_still, count(result),
                        milliseconds(result.found.times().total()), Texts.rois(this, result.found))
                                       .trim();
                onScreen(() -> showFrame(image, result, title, boxes));
            }
        }
    }

    /** Shows one frame each tenth of a second of the video, as fast as the device reads them and detects. */
    private Void video(Uri media, Detector detector, String title) throws IOException {
        MediaMetadataRetriever reader = new MediaMetadataRetriever();
        try {
            reader.setDataSource(this, media);
            String duration = reader.extractMetadata(MediaMetadataRetriever.METADATA_KEY_DURATION);
            int steps = VideoSteps.count(duration == null ? 0 : Long.parseLong(duration));
            FrameStats stats = new FrameStats();
            for (int step = 0; step < steps; step++) {
                if (Thread.interrupted() || !media.equals(shown)) {
                    throw new CancellationException("the video was left");
                }
                Bitmap frame =
                        reader.getFrameAtTime(VideoSteps.microseconds(step), MediaMetadataRetriever.OPTION_CLOSEST);
                if (frame == null && step == 0) {
                    throw new IOException(getString(R.string.media_no_frames));
                }
                if (frame != null) {
                    Bitmap image = ImageLoader.argb(frame);
                    Result result = detect(image, detector);
                    stats.add(result.found.times().total());
                    String line = getString(R.string.status_video, count(result), step + 1, steps,
                            milliseconds(stats.percentile(50)), Texts.rois(this, result.found))
                                          .trim();
                    onScreen(() -> showFrame(image, result, title, line));
                }
            }
            return null;
        } finally {
            reader.release();
        }
    }

    /** What a reader of media returns; its failures name the media, and the app that has it may throw anything. */
    private <T> T readable(Uri media, Work<T> reader) throws IOException {
        try {
            return reader.run();
        } catch (CancellationException error) {
            throw error;
        } catch (IOException | RuntimeException error) {
            throw new IOException(getString(R.string.media_unreadable, Texts.sentence(this, error)), error);
        }
    }

    private static Result detect(Bitmap upright, Detector detector) {
        ByteBuffer pixels = ByteBuffer.allocateDirect(upright.getByteCount());
        upright.copyPixelsToBuffer(pixels);
        pixels.rewind();
        Frame frame = Frame.rgba(pixels, upright.getWidth(), upright.getHeight(), upright.getRowBytes());
        return new Result(detector.detect(frame), false, null);
    }

    private int count(Result result) {
        return Box.atLeast(result.boxes, new Settings(this).leastScore()).size();
    }

    private static String milliseconds(double value) {
        return String.format(Locale.getDefault(), "%.1f", value);
    }

    private void showFrame(Bitmap upright, Result result, String... lines) {
        view.setResult(result);
        if (!view.hasImage()) {
            invalidateOptionsMenu();
        }
        view.setImage(upright);
        panels.setStatus(Arrays.asList(lines));
    }

    @Override
    void showFailure(String sentence) {
        panels.setStatus(Collections.emptyList());
        panels.setAlarm(getString(R.string.failed_title), sentence);
    }

    @Override
    public boolean onCreateOptionsMenu(Menu menu) {
        getMenuInflater().inflate(R.menu.media, menu);
        return true;
    }

    @Override
    public boolean onPrepareOptionsMenu(Menu menu) {
        menu.findItem(R.id.menu_share).setVisible(view.hasImage());
        return true;
    }

    @Override
    public boolean onOptionsItemSelected(MenuItem item) {
        if (item.getItemId() == R.id.menu_open) {
            choose();
        } else if (item.getItemId() == R.id.menu_share) {
            shareImage(view);
        } else {
            return super.onOptionsItemSelected(item);
        }
        return true;
    }
}
