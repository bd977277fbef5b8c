package io.pocketdet.app.logic;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;

/**
 * An answer that another program waits for: NAME with the document and then NAME.done, or NAME.failed with one
 * sentence. Each appears whole, so that whoever sees a marker can read what it speaks of.
 */
public final class ResultFile {
    private final File folder;
    private final String name;

    public ResultFile(File folder, String name) {
        this.folder = folder;
        this.name = name;
    }

    /** Removes what an earlier run left. */
    public void begin() throws IOException {
        Files.createDirectories(folder.toPath());
        for (String ending : new String[] {".done", ".failed", ""}) {
            Files.deleteIfExists(path(ending).toPath());
        }
    }

    public void done(String document) throws IOException {
        write("", document);
        write(".done", "");
    }

    public void failed(String sentence) throws IOException {
        write(".failed", sentence.replace('\n', ' ') + "\n");
    }

    private void write(String ending, String text) throws IOException {
        File part = path(ending + ".part");
        Files.createDirectories(folder.toPath());
        Files.write(part.toPath(), text.getBytes(StandardCharsets.UTF_8));
        Files.move(part.toPath(), path(ending).toPath(), StandardCopyOption.REPLACE_EXISTING);
    }

    private File path(String ending) {
        return new File(folder, name + ending);
    }
}
