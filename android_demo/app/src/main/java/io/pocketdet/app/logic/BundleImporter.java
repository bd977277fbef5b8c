package io.pocketdet.app.logic;

import java.io.File;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/**
 * Unpacks a bundle that is a zip file, from anybody.
 *
 * <p>Names and sizes are limited as by Python's reader of such files (SECURITY.md). What was unpacked becomes a bundle,
 * and can be seen as one, when its check has passed.
 */
public final class BundleImporter {
    static final int MOST_ENTRIES = 256;
    static final long MOST_BYTES = 1L << 30;
    static final long SMALL_BYTES = 64L << 20; // up to which any ratio of compression is harmless
    static final long MOST_RATIO = 50;

    private static final String PART = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}";
    private static final Pattern PATH = Pattern.compile(PART + "(/" + PART + "){0,3}/?");

    /** Opens the bundle in a folder, or throws what is wrong with it. */
    public interface Check {
        void check(File folder, String digest) throws IOException;
    }

    private final Counted packed;
    private final Path target;
    private long unpacked;

    private BundleImporter(InputStream zip, File target) {
        packed = new Counted(zip);
        this.target = target.toPath();
    }

    /**
     * Returns the new folder in `parent`, named by the bundle's digest: one that was imported before is replaced.
     * Throws IOException with a sentence for a file that is no such bundle, and what the check throws; then nothing
     * stays.
     */
    public static File unpack(InputStream zip, File parent, Check check) throws IOException {
        File part = new File(parent, "import" + BundleUnpacker.PART);
        BundleUnpacker.delete(part);
        try {
            new BundleImporter(zip, part).entries();
            String digest = BundleCatalog.digest(part);
            if (digest == null) {
                throw new IOException("this file holds no manifest.json at its top; choose a NAME.pocketdet.zip");
            }
            check.check(part, digest);
            File folder = new File(parent, digest.substring(0, 16) + ".pocketdet");
            BundleUnpacker.delete(folder);
            Files.move(part.toPath(), folder.toPath());
            return folder;
        } finally {
            BundleUnpacker.delete(part);
        }
    }

    private void entries() throws IOException {
        try (ZipInputStream zip = new ZipInputStream(packed)) {
            int count = 0;
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                if (!PATH.matcher(entry.getName()).matches()) {
                    throw refused(entry, "is not a plain path inside the bundle");
                }
                if (++count > MOST_ENTRIES) {
                    throw refused(entry, "is one of more than " + MOST_ENTRIES);
                }
                Path file = target.resolve(entry.getName());
                Files.createDirectories(entry.isDirectory() ? file : file.getParent());
                if (!entry.isDirectory()) {
                    pour(zip, entry, file);
                }
            }
        } catch (IllegalArgumentException error) {
            throw new IOException("a name in this zip file is not UTF-8", error);
        }
    }

    private void pour(ZipInputStream zip, ZipEntry entry, Path file) throws IOException {
        byte[] buffer = new byte[1 << 16];
        try (OutputStream out = Files.newOutputStream(file, StandardOpenOption.CREATE_NEW)) {
            for (int count = zip.read(buffer); count >= 0; count = zip.read(buffer)) {
                unpacked += count;
                if (unpacked > MOST_BYTES || (unpacked > SMALL_BYTES && unpacked > MOST_RATIO * packed.count)) {
                    throw refused(entry, "unpacks to more than a bundle may have");
                }
                out.write(buffer, 0, count);
            }
        }
    }

    private static IOException refused(ZipEntry entry, String problem) {
        String name = entry.getName();
        String shown = name.length() > 100 ? name.substring(0, 100) + ".." : name;
        return new IOException("the zip entry '" + shown + "' " + problem + "; choose a NAME.pocketdet.zip");
    }

    /** Counts the bytes that are read. */
    private static final class Counted extends FilterInputStream {
        private long count;

        Counted(InputStream in) {
            super(in);
        }

        @Override
        public int read() throws IOException {
            int next = super.read();
            count += next < 0 ? 0 : 1;
            return next;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            int found = super.read(bytes, offset, length);
            count += Math.max(0, found);
            return found;
        }
    }
}
