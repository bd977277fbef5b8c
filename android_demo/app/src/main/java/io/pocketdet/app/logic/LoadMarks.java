package io.pocketdet.app.logic;

import java.io.File;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * Records on disk which bundles are being loaded, so that a bundle that crashes the process is not loaded again at the
 * next start.
 *
 * <p>A mark is an empty file named by the bundle's digest. It is written before native code reads the bundle and
 * deleted when the load returns or throws. A process has one object per folder: a file that is there when the object is
 * made was left by a process that ended during the load. Thread-safe.
 */
public final class LoadMarks {
    /** Work in native code that may end the process. */
    public interface Load<T> {
        T run() throws IOException;
    }

    private final File folder;
    private final Set<String> unreturned = new HashSet<>();
    private final Map<String, Integer> running = new HashMap<>();

    public LoadMarks(File folder) {
        this.folder = folder;
        String[] names = folder.list();
        for (String name : names == null ? new String[0] : names) {
            unreturned.add(name);
        }
    }

    /** Digests of the bundles whose last load did not return. */
    public synchronized Set<String> unreturned() {
        return new HashSet<>(unreturned);
    }

    /**
     * Returns what the load of the bundle with this digest returns; the load is marked while it runs. A bundle without
     * a manifest has a null digest and needs no mark, since native code refuses it. Throws IOException, and loads
     * nothing, if the mark cannot be written.
     */
    public <T> T during(String digest, Load<T> load) throws IOException {
        if (digest == null) {
            return load.run();
        }
        begin(digest);
        try {
            return load.run();
        } finally {
            end(digest);
        }
    }

    private synchronized void begin(String digest) throws IOException {
        File mark = new File(folder, digest);
        try {
            Files.createDirectories(folder.toPath());
            try (FileChannel file =
                            FileChannel.open(mark.toPath(), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                file.force(true);
            }
        } catch (IOException error) {
            throw new IOException(
                    mark + ": the mark of a load cannot be written (" + error.getMessage() + "); free some storage",
                    error);
        }
        running.merge(digest, 1, Integer::sum);
    }

    private synchronized void end(String digest) {
        if (running.merge(digest, -1, Integer::sum) == 0) {
            running.remove(digest);
            unreturned.remove(digest);
            new File(folder, digest).delete(); // if it stays, the user has to try again once more
        }
    }
}
