package io.pocketdet;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;

/** What android_demo/check/fixtures.py wrote; -Dpocketdet.fixtures says where. */
final class Fixtures {
    private static final File FOLDER = new File(System.getProperty("pocketdet.fixtures"));

    private Fixtures() {
    }

    static File bundle(String name) {
        return new File(FOLDER, "bundles/" + name + ".pocketdet");
    }

    static List<String> bundleNames() {
        List<String> names = new ArrayList<>();
        for (String file : new File(FOLDER, "bundles").list()) {
            names.add(file.replace(".pocketdet", ""));
        }
        return names;
    }

    /** The cells of a table by line. */
    static List<String[]> table(String name) {
        List<String[]> lines = new ArrayList<>();
        try {
            for (String line : Files.readAllLines(new File(FOLDER, name).toPath(), StandardCharsets.UTF_8)) {
                lines.add(line.split("\t"));
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return lines;
    }

    static boolean has(String name) {
        return new File(FOLDER, name).exists();
    }

    /** The rendered scenes. */
    static List<Frame> images() {
        List<Frame> frames = new ArrayList<>();
        for (String[] line : table("images.tsv")) {
            int width = Integer.parseInt(line[1]);
            int height = Integer.parseInt(line[2]);
            frames.add(Frame.rgba(direct(bytes("images/" + line[0])), width, height, 4 * width));
        }
        return frames;
    }

    /** An image for bundles that take any. */
    static Frame noise(int width, int height, long seed) {
        byte[] bytes = new byte[4 * width * height];
        new java.util.Random(seed).nextBytes(bytes);
        return Frame.rgba(direct(bytes), width, height, 4 * width);
    }

    static ByteBuffer direct(byte[] bytes) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(bytes.length);
        buffer.put(bytes);
        buffer.flip();
        return buffer;
    }

    private static byte[] bytes(String name) {
        try {
            return Files.readAllBytes(new File(FOLDER, name).toPath());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
