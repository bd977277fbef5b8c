package io.pocketdet.app.logic;

import java.io.File;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.json.JSONArray;
import org.json.JSONObject;

/** All bundles that lie in some folders, those that cannot be used with the reason. */
public final class BundleCatalog {
    static final String MANIFEST = "manifest.json";
    private static final int MOST_BYTES = 8 << 20; // as the library
    private static final int LONGEST_TEXT = 200;

    /** The bundle to run, and the one that is skipped for it. */
    public static final class Selection {
        /** Null if there is none. */
        public final BundleEntry entry;

        /** The bundle that would run if its last load had returned, else null. */
        public final BundleEntry skipped;

        private Selection(BundleEntry entry, BundleEntry skipped) {
            this.entry = entry;
            this.skipped = skipped;
        }
    }

    private final List<BundleEntry> entries;

    private BundleCatalog(List<BundleEntry> entries) {
        this.entries = Collections.unmodifiableList(entries);
    }

    /**
     * What lies in the folder that the app's own bundles were unpacked to, then what was pushed. Either may lack.
     * `unreturned` are the digests that {@link LoadMarks} has.
     */
    public static BundleCatalog scan(File assets, File files, Set<String> unreturned) {
        List<BundleEntry> found = new ArrayList<>();
        addAll(found, assets, BundleEntry.Origin.ASSETS, unreturned);
        addAll(found, files, BundleEntry.Origin.FILES, unreturned);
        return new BundleCatalog(found);
    }

    /** In the order of a list: by origin, then by name of folder. */
    public List<BundleEntry> entries() {
        return entries;
    }

    /** The usable one with this id or this name, else null. */
    public BundleEntry find(String idOrName) {
        for (BundleEntry entry : entries) {
            if (entry.isUsable() && (entry.id().equals(idOrName) || entry.name.equals(idOrName))) {
                return entry;
            }
        }
        return null;
    }

    /** The remembered one if it is there, else the first that can be used. Skips one whose load did not return. */
    public Selection choose(String remembered) {
        BundleEntry wanted = find(remembered);
        BundleEntry other = null;
        for (BundleEntry entry : entries) {
            wanted = wanted == null && entry.isUsable() ? entry : wanted;
            other = other == null && entry.isUsable() && entry.returned ? entry : other;
        }
        boolean runs = wanted == null || wanted.returned;
        return runs ? new Selection(wanted, null) : new Selection(other, wanted);
    }

    /** The digest of the bundle in a folder as it is now; null if it has no manifest that can be read. */
    public static String digest(File folder) {
        try {
            return sha256(manifest(folder));
        } catch (IOException error) {
            return null;
        }
    }

    private static void addAll(
            List<BundleEntry> found, File parent, BundleEntry.Origin origin, Set<String> unreturned) {
        File[] folders = parent == null ? null : parent.listFiles(File::isDirectory);
        if (folders == null) {
            return;
        }
        Arrays.sort(folders);
        for (File folder : folders) {
            if (!folder.getName().endsWith(BundleUnpacker.PART)) {
                found.add(read(folder, origin, unreturned));
            }
        }
    }

    private static BundleEntry read(File folder, BundleEntry.Origin origin, Set<String> unreturned) {
        if (!new File(folder, MANIFEST).isFile()) {
            return BundleEntry.bad(folder, origin, BundleEntry.Problem.NO_MANIFEST, MANIFEST);
        }
        JSONObject document;
        String digest;
        try {
            byte[] bytes = manifest(folder);
            digest = sha256(bytes);
            document = Documents.parse(new String(bytes, StandardCharsets.UTF_8));
        } catch (IOException error) {
            return BundleEntry.bad(folder, origin, BundleEntry.Problem.UNREADABLE, String.valueOf(error.getMessage()));
        } catch (IllegalArgumentException error) {
            return BundleEntry.bad(folder, origin, BundleEntry.Problem.NO_JSON, error.getMessage());
        }
        String name = text(document, "name");
        Number height = Documents.find(document, Number.class, "input", "height");
        Number width = Documents.find(document, Number.class, "input", "width");
        JSONArray classes = Documents.find(document, JSONArray.class, "class_names");
        String storage = text(document, "layout", "weight_storage");
        String missing = name == null ? "name" : height == null || width == null ? "input" : null;
        missing = missing != null ? missing : classes == null ? "class_names" : storage == null ? "layout" : null;
        if (missing != null) {
            return BundleEntry.bad(folder, origin, BundleEntry.Problem.INCOMPLETE, missing);
        }
        int[] size = {width.intValue(), height.intValue(), classes.length()};
        return new BundleEntry(folder, origin, BundleEntry.Problem.NONE, "", name, digest, !unreturned.contains(digest),
                precision(document, storage), size);
    }

    private static byte[] manifest(File folder) throws IOException {
        File manifest = new File(folder, MANIFEST);
        if (!manifest.isFile() || manifest.length() > MOST_BYTES) {
            throw new IOException(manifest.length() + " bytes");
        }
        return Files.readAllBytes(manifest.toPath());
    }

    private static String sha256(byte[] bytes) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(bytes);
            return String.format("%064x", new BigInteger(1, hash));
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException("every Java has SHA-256", error);
        }
    }

    /** A text that can be shown: null for one that is longer than the manifest's schema allows. */
    private static String text(JSONObject document, String... names) {
        String found = Documents.find(document, String.class, names);
        return found == null || found.length() > LONGEST_TEXT ? null : found;
    }

    /** Storage, and what the graphs were made to be computed in where that is named otherwise. */
    private static String precision(JSONObject document, String storage) {
        JSONObject graphs = Documents.find(document, JSONObject.class, "graphs");
        Set<String> names = new LinkedHashSet<>();
        names.add(storage);
        for (Iterator<String> each = graphs == null ? Collections.emptyIterator() : graphs.keys(); each.hasNext();) {
            String arithmetic = text(graphs.optJSONObject(each.next()), "arithmetic");
            names.add(arithmetic == null ? "fp32" : arithmetic);
        }
        return String.join(" / ", names);
    }
}
