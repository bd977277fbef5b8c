package io.pocketdet.app.logic;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;

/** Threads of this process by name. A native thread, such as a worker of OpenMP, has that of the one that made it. */
public final class NamedThreads {
    private static final File TASKS = new File("/proc/self/task");

    private NamedThreads() {
    }

    /** The system's numbers of the threads with this name, of at most 15 characters; none without /proc. */
    public static int[] ids(String name) {
        String[] ids = TASKS.list();
        return Arrays.stream(ids == null ? new String[0] : ids)
                .filter(id -> name.equals(nameOf(id)))
                .mapToInt(Integer::parseInt)
                .sorted()
                .toArray();
    }

    private static String nameOf(String id) {
        try {
            byte[] name = Files.readAllBytes(new File(TASKS, id + "/comm").toPath());
            return new String(name, StandardCharsets.UTF_8).trim();
        } catch (IOException error) { // it has ended
            return "";
        }
    }
}
