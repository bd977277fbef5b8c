package io.pocketdet.app.logic;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * What `adb shell am start -n io.pocketdet.app/.BenchActivity --es ... --ei ...` asks for, checked.
 *
 * <p>`out` is the name of the result among the app's external files, `command` one of machine, verify and bench (the
 * default), `bundle` a folder or the name of a bundle in the catalogue, `images` PNG files with commas between them;
 * the rest is as in `pocketdet-run`. What is null is left to the library.
 */
public final class BenchRequest {
    public enum Command { MACHINE, VERIFY, BENCH }

    private static final List<String> NAMES = Arrays.asList("out", "command", "bundle", "digest", "precision", "size",
            "images", "frames", "seconds", "warmup", "cpu", "rois", "layers");

    public final String out;
    public final Command command;
    public final String bundle;
    public final String digest;
    public final String precision;
    public final String size;
    public final List<String> images;
    public final Integer frames;
    public final Double seconds;
    public final Integer warmup;
    public final Integer cpu;
    public final Integer rois;
    public final boolean layers;

    private BenchRequest(Map<String, ?> extras) {
        out = fileName(extras);
        command = command(extras);
        bundle = text(extras, "bundle");
        if (command != Command.MACHINE && bundle == null) {
            throw wrong("bundle", null, "a folder or the name of a bundle");
        }
        digest = text(extras, "digest");
        precision = text(extras, "precision");
        size = text(extras, "size");
        String files = text(extras, "images");
        images = files == null ? Collections.emptyList() : Collections.unmodifiableList(paths(files));
        frames = of(extras, "frames", Integer.class, "an integer (--ei)");
        Number time = of(extras, "seconds", Number.class, "a number (--ef)");
        seconds = time == null ? null : time.doubleValue();
        warmup = of(extras, "warmup", Integer.class, "an integer (--ei)");
        cpu = of(extras, "cpu", Integer.class, "an integer (--ei)");
        rois = of(extras, "rois", Integer.class, "an integer (--ei)");
        layers = Boolean.TRUE.equals(of(extras, "layers", Boolean.class, "true or false (--ez)"));
    }

    /** Throws IllegalArgumentException with one sentence for an extra that is unknown, missing or of another type. */
    public static BenchRequest from(Map<String, ?> extras) {
        for (String name : new TreeSet<>(extras.keySet())) {
            if (!NAMES.contains(name)) {
                throw new IllegalArgumentException(
                        "extra '" + name + "' is unknown; there are " + String.join(", ", NAMES));
            }
        }
        return new BenchRequest(extras);
    }

    /** The name to answer to, checked alone: whoever asked otherwise wrongly is told so there. */
    public static String fileName(Map<String, ?> extras) {
        String name = text(extras, "out");
        if (name == null || !name.matches("[A-Za-z0-9][A-Za-z0-9_-]{0,80}[.]json")) {
            throw wrong("out", name, "a plain name such as run.json");
        }
        return name;
    }

    private static Command command(Map<String, ?> extras) {
        String word = text(extras, "command");
        for (Command command : Command.values()) {
            if (word == null || command.name().equalsIgnoreCase(word)) {
                return word == null ? Command.BENCH : command;
            }
        }
        throw wrong("command", word, "machine, verify or bench");
    }

    private static List<String> paths(String files) {
        List<String> found = new ArrayList<>();
        for (String path : files.split(",", -1)) {
            if (!path.startsWith("/")) {
                throw wrong("images", path, "full paths with commas between them");
            }
            found.add(path);
        }
        return found;
    }

    private static String text(Map<String, ?> extras, String name) {
        return of(extras, name, String.class, "a text (--es)");
    }

    private static <T> T of(Map<String, ?> extras, String name, Class<T> type, String expected) {
        Object found = extras.get(name);
        if (found != null && !type.isInstance(found)) {
            throw wrong(name, found, expected);
        }
        return type.cast(found);
    }

    private static IllegalArgumentException wrong(String name, Object found, String expected) {
        String text = found == null ? "is missing" : "is '" + shortened(String.valueOf(found)) + "'";
        return new IllegalArgumentException("extra '" + name + "' " + text + "; expected " + expected);
    }

    private static String shortened(String text) {
        return text.length() > 80 ? text.substring(0, 80) + ".." : text;
    }
}
