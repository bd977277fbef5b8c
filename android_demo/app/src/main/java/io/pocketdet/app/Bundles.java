package io.pocketdet.app;

import android.content.Context;
import android.content.res.AssetManager;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleUnpacker;
import io.pocketdet.app.logic.LoadMarks;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;

/** Where bundles lie on this device. */
final class Bundles {
    private static final String ROOT = "bundles";
    private static final String MARKS = "loads";

    private static LoadMarks marks; // one per process, guarded by the class

    private final Context context;

    Bundles(Context context) {
        this.context = context.getApplicationContext();
    }

    /** The folder that bundles are pushed into; made so that it is there to push into. Null without storage. */
    File pushed() {
        return context.getExternalFilesDir(ROOT);
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
