package io.pocketdet.app.logic;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;

/** Small files for tests. */
final class TemporaryFiles {
    private TemporaryFiles() {
    }

    static File write(File folder, String name, String text) throws IOException {
        File file = new File(folder, name);
        Files.createDirectories(file.getParentFile().toPath());
        Files.write(file.toPath(), text.getBytes(StandardCharsets.UTF_8));
        return file;
    }

    static String read(File file) throws IOException {
        return new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8);
    }

    static String manifest(String name, String storage, String arithmetic) {
        String graph = arithmetic == null ? "{}" : "{\"arithmetic\": \"" + arithmetic + "\"}";
        return "{\"name\": \"" + name + "\", \"architecture\": \"thundernet-snet49\", \"input\": {\"height\": 320, "
                + "\"width\": 480}, \"class_names\": [\"bolt\", \"nut\"], \"layout\": {\"weight_storage\": \""
                + storage + "\"}, \"graphs\": {\"features\": " + graph + ", \"head\": " + graph + "}}";
    }
}
