package io.pocketdet.app;

import android.app.Activity;
import android.graphics.Bitmap;
import android.os.Handler;
import android.os.Looper;
import io.pocketdet.app.logic.BundleCatalog;
import java.io.IOException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;

/** A screen with one thread for what takes long; it is interrupted when the screen is destroyed. */
abstract class WorkingActivity extends Activity {
    /** Work off the screen's thread. */
    interface Work<T> {
        T run() throws IOException;
    }

    final Handler main = new Handler(Looper.getMainLooper());
    private final ExecutorService background = Executors.newSingleThreadExecutor();

    @Override
    protected void onDestroy() {
        background.shutdownNow(); // a measurement or a video ends before its next frame
        super.onDestroy();
    }

    /** Shows why some work failed. */
    abstract void showFailure(String sentence);

    /** The bundle that was chosen last, or what runs in its place. Not for the screen's thread. */
    final BundleCatalog.Selection chosen() throws IOException {
        Bundles bundles = new Bundles(this);
        BundleCatalog.Selection found = bundles.scan().choose(new Settings(this).bundle());
        if (found.entry == null) {
            throw new IOException(Texts.noModel(this, found, bundles.pushed()));
        }
        return found;
    }

    /** Does the work and uses its result on the screen's thread, if the screen is still there; shows what it throws. */
    final <T> void work(Work<T> work, Consumer<T> then) {
        background.execute(() -> {
            try {
                T result = work.run();
                onScreen(() -> then.accept(result));
            } catch (CancellationException error) {
                return; // the screen is gone
            } catch (IOException | RuntimeException | OutOfMemoryError error) {
                // a RuntimeException may come from another app's provider
                onScreen(() -> showFailure(Texts.sentence(this, error)));
            }
        });
    }

    /** Shares the view's image with its boxes; does nothing if it has no image. */
    final void shareImage(OverlayView view) {
        Bitmap image = view.imageWithBoxes();
        if (image != null) {
            work(() -> {
                SharedImage.write(this, image);
                return image;
            }, written -> SharedImage.send(this));
        }
    }

    /** From any thread. */
    final void onScreen(Runnable event) {
        main.post(() -> {
            if (!isDestroyed()) {
                event.run();
            }
        });
    }
}
