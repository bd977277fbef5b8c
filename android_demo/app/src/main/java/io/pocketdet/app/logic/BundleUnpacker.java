package io.pocketdet.app.logic;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.util.Arrays;

/**
 * Copies the bundles that come with the app to files, which is where the detector reads them.
 *
 * <p>A bundle is copied when its manifest, which holds the hashes of all its files, differs from the one there is. It
 * is renamed when it is complete, so that an interrupted copy is never taken for a bundle.
 */
public final class BundleUnpacker {
    /** Ending of a folder that is not complete. */
    static final String PART = ".part";

    /** What the app was packed with; android.content.res.AssetManager fits. */
    public interface Tree {
        /** Names in a folder; none for a file. */
        String[] list(String path) throws IOException;

        InputStream open(String path) throws IOException;
    }

    private BundleUnpacker() {
    }

    /** Makes `target` hold the bundles under `root` and no others. */
    public static void unpack(Tree tree, String root, File target) throws IOException {
        String[] names = tree.list(root);
        Files.createDirectories(target.toPath());
        for (File old : listed(target)) {
            if (!Arrays.asList(names).contains(old.getName())) {
                delete(old);
            }
        }
        for (String name : names) {
            String path = root + "/" + name;
            if (tree.list(path).length > 0 && !isThere(tree, path, new File(target, name))) {
                File part = new File(target, name + PART);
                delete(part);
                copy(tree, path, part);
                delete(new File(target, name));
                Files.move(part.toPath(), new File(target, name).toPath());
            }
        }
    }

    private static boolean isThere(Tree tree, String path, File folder) throws IOException {
        File manifest = new File(folder, BundleCatalog.MANIFEST);
        if (!manifest.isFile()) {
            return false;
        }
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (InputStream in = tree.open(path + "/" + BundleCatalog.MANIFEST)) {
            pour(in, packed);
        }
        return Arrays.equals(packed.toByteArray(), Files.readAllBytes(manifest.toPath()));
    }

    private static void copy(Tree tree, String path, File target) throws IOException {
        String[] names = tree.list(path);
        if (names.length > 0) {
            Files.createDirectories(target.toPath());
            for (String name : names) {
                copy(tree, path + "/" + name, new File(target, name));
            }
            return;
        }
        try (InputStream in = tree.open(path); OutputStream out = new FileOutputStream(target)) {
            pour(in, out);
        }
    }

    private static void pour(InputStream in, OutputStream out) throws IOException {
        byte[] buffer = new byte[1 << 16];
        for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
            out.write(buffer, 0, count);
        }
    }

    static void delete(File file) throws IOException {
        for (File child : listed(file)) {
            delete(child);
        }
        Files.deleteIfExists(file.toPath());
    }

    private static File[] listed(File folder) {
        File[] files = Files.isSymbolicLink(folder.toPath()) ? null : folder.listFiles();
        return files == null ? new File[0] : files;
    }
}
