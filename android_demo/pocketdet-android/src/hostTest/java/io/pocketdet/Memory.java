package io.pocketdet;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;

/** What the system reports about this process. */
final class Memory {
    private Memory() {
    }

    /** Resident memory in KiB when collections find no more; direct buffers are freed a while after them. */
    static long residentKib() throws InterruptedException {
        for (int i = 0; i < 3; i++) {
            System.gc();
            Thread.sleep(100);
        }
        return Long.parseLong(status("VmRSS").replace(" kB", ""));
    }

    /** A field of the calling thread's status; memory is that of the process. */
    static String status(String field) {
        try {
            for (String line : Files.readAllLines(new File("/proc/thread-self/status").toPath())) {
                if (line.startsWith(field + ":")) {
                    return line.substring(field.length() + 1).trim();
                }
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        throw new IllegalStateException(field + " is not reported");
    }
}
