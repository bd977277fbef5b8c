package io.pocketdet;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** Copies of bundles for a test to change, below the folder of temporary files. */
final class Copies {
    private Copies() {
    }

    static File of(File bundle) throws IOException {
        Path to = Files.createTempDirectory("pocketdet-").resolve(bundle.getName());
        try (Stream<Path> files = Files.walk(bundle.toPath())) {
            for (Path from : (Iterable<Path>) files::iterator) {
                Files.copy(from, to.resolve(bundle.toPath().relativize(from)));
            }
        }
        return to.toFile();
    }
}
