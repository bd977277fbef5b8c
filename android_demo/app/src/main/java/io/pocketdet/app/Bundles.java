package io.pocketdet.app;

import android.content.Context;
import android.content.res.AssetManager;
import android.net.Uri;
import io.pocketdet.Detector;
import io.pocketdet.DetectorOptions;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.BundleImporter;
import io.pocketdet.app.logic.BundleUnpacker;
import io.pocketdet.app.logic.LoadMarks;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;

/** Where bundles lie on this device. */
final class Bundles {
    private static final String ROOT = "bundles";
    private static final String MARKS = "loads";
    private static final String RESULTS = "bench";

    private static LoadMarks marks; // one per process, guarded by the class

    private final Context context;

    Bundles(Context context) {
        this.context = context.getApplicationContext();
    }

    /** The folder that bundles are pushed into; made so that it is there to push into. Null without storage. */
    File pushed() {
        return context.getExternalFilesDir(ROOT);
    }

    /** The folder of benchmark results. */
    File results() throws IOException {
        File folder = context.getExternalFilesDir(RESULTS);
        if (folder == null) {
            throw new IOException(context.getString(R.string.failed_file, RESULTS));
        }
        return folder;
    }

    /** What every load of a bundle runs under. */
    LoadMarks marks() {
        synchronized (Bundles.class) {
            if (marks == null) {
                marks = new LoadMarks(new File(context.getNoBackupFilesDir(), MARKS));
            }
            return marks;
        }
    }

    /** Unpacks the app's own bundles where they have changed, and looks at all. Not for the screen's thread. */
    BundleCatalog scan() throws IOException {
        File unpacked = new File(context.getNoBackupFilesDir(), ROOT);
        synchronized (Bundles.class) {
            BundleUnpacker.unpack(new Assets(context.getAssets()), ROOT, unpacked);
        }
        return BundleCatalog.scan(unpacked, pushed(), marks().unreturned());
    }

    /**
     * Adds the bundle that a document of another app is: unpacked, and opened once with all checks of the library.
     * Returns its id. Throws IOException, PocketDetException for a bundle that does not pass, and any RuntimeException
     * that comes from the app whose document it is. Not for the screen's thread.
     */
    String add(Uri document) throws IOException {
        File parent = pushed();
        if (parent == null) {
            throw new IOException(context.getString(R.string.failed_file, ROOT));
        }
        try (InputStream zip = ImageLoader.open(context.getContentResolver(), document)) {
            return BundleEntry.Origin.FILES.id(BundleImporter.unpack(zip, parent, this::check));
        }
    }

    private void check(File folder, String digest) throws IOException {
        DetectorOptions options = DetectorOptions.builder().digest(digest).build();
        marks().during(digest, () -> {
            Detector.open(folder, options).close();
            return null;
        });
    }

    private static final class Assets implements BundleUnpacker.Tree {
        private final AssetManager assets;

        Assets(AssetManager assets) {
            this.assets = assets;
        }

        @Override
        public String[] list(String path) throws IOException {
            String[] names = assets.list(path);
            return names == null ? new String[0] : names;
        }

        @Override
        public InputStream open(String path) throws IOException {
            return assets.open(path);
        }
    }
}
