package io.pocketdet.app.logic;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** All bundles that lie in some folders, those that cannot be used with the reason. */
public final class BundleCatalog {
    static final String MANIFEST = "manifest.json";
    private static final int MOST_BYTES = 16 << 20;

    private final List<BundleEntry> entries;

    private BundleCatalog(List<BundleEntry> entries) {
        this.entries = Collections.unmodifiableList(entries);
    }

    /** What lies in the folder that the app's own bundles were unpacked to, then what was pushed. Either may lack. */
    public static BundleCatalog scan(File assets, File files) {
        List<BundleEntry> found = new ArrayList<>();
        addAll(found, assets, BundleEntry.Origin.ASSETS);
        addAll(found, files, BundleEntry.Origin.FILES);
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

    /** The remembered one if it is still there, else the first that can be used, else null. */
    public BundleEntry choose(String remembered) {
        BundleEntry found = find(remembered);
        for (int i = 0; found == null && i < entries.size(); i++) {
            found = entries.get(i).isUsable() ? entries.get(i) : null;
        }
        return found;
    }

    private static void addAll(List<BundleEntry> found, File parent, BundleEntry.Origin origin) {
        File[] folders = parent == null ? null : parent.listFiles(File::isDirectory);
        if (folders == null) {
            return;
        }
        Arrays.sort(folders);
        for (File folder : folders) {
            if (!folder.getName().endsWith(BundleUnpacker.PART)) {
                found.add(read(folder, origin));
            }
        }
    }

    static BundleEntry read(File folder, BundleEntry.Origin origin) {
        File manifest = new File(folder, MANIFEST);
        if (!manifest.isFile()) {
            return BundleEntry.bad(folder, origin, BundleEntry.Problem.NO_MANIFEST, MANIFEST);
        }
        Object document;
        try {
            if (manifest.length() > MOST_BYTES) {
                throw new IOException(manifest.length() + " bytes");
            }
            document = Json.parse(new String(Files.readAllBytes(manifest.toPath()), StandardCharsets.UTF_8));
        } catch (IOException error) {
            return BundleEntry.bad(folder, origin, BundleEntry.Problem.UNREADABLE, String.valueOf(error.getMessage()));
        } catch (IllegalArgumentException error) {
            return BundleEntry.bad(folder, origin, BundleEntry.Problem.NO_JSON, error.getMessage());
        }
        String name = Json.find(document, String.class, "name");
        Double height = Json.find(document, Double.class, "input", "height");
        Double width = Json.find(document, Double.class, "input", "width");
        List<?> classes = Json.find(document, List.class, "class_names");
        String storage = Json.find(document, String.class, "layout", "weight_storage");
        String missing = name == null ? "name" : height == null || width == null ? "input" : null;
        missing = missing != null ? missing : classes == null ? "class_names" : storage == null ? "layout" : null;
        if (missing != null) {
            return BundleEntry.bad(folder, origin, BundleEntry.Problem.INCOMPLETE, missing);
        }
        String architecture = Json.find(document, String.class, "architecture");
        int[] size = {width.intValue(), height.intValue(), classes.size()};
        return new BundleEntry(
                folder, origin, name, architecture == null ? "" : architecture, precision(document, storage), size);
    }

    /** Storage, and what the graphs were made to be computed in where that is named otherwise. */
    private static String precision(Object document, String storage) {
        Map<?, ?> graphs = Json.find(document, Map.class, "graphs");
        Set<String> names = new LinkedHashSet<>();
        names.add(storage);
        for (Object graph : graphs == null ? Collections.emptyList() : graphs.values()) {
            String arithmetic = Json.find(graph, String.class, "arithmetic");
            names.add(arithmetic == null ? "fp32" : arithmetic);
        }
        return String.join(" / ", names);
    }
}
