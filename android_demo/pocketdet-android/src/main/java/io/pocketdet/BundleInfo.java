package io.pocketdet;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What a bundle is, and how this processor runs it. Immutable; it outlives its detector. */
public final class BundleInfo {
    private final String[] texts;
    private final List<String> classNames;
    private final int inputWidth;
    private final int inputHeight;

    /** Called by the native library. `texts` in the order of the accessors below. */
    BundleInfo(String[] texts, String[] classNames, int inputWidth, int inputHeight) {
        this.texts = texts;
        this.classNames = Collections.unmodifiableList(Arrays.asList(classNames));
        this.inputWidth = inputWidth;
        this.inputHeight = inputHeight;
    }

    public String name() {
        return texts[0];
    }

    public String architecture() {
        return texts[1];
    }

    /** "two-stage" or "one-stage". */
    public String kind() {
        return texts[2];
    }

    /** How the narrowest weights are stored: "fp32", "fp16" or "int8". */
    public String storage() {
        return texts[3];
    }

    /** What layers that are not int8 shall compute in: by the options, else by the bundle. */
    public String arithmeticAsked() {
        return texts[4];
    }

    /** What they compute in on this processor. */
    public String arithmeticUsed() {
        return texts[5];
    }

    /** A sentence where the two differ, else empty. */
    public String precisionNote() {
        return texts[6];
    }

    /** SHA-256 of the manifest, which lists those of all files: it names the bundle. */
    public String digest() {
        return texts[7];
    }

    /** ncnn's version and the options it was built with. */
    public String ncnnVersion() {
        return texts[8];
    }

    /** Names by label, 0 first. */
    public List<String> classNames() {
        return classNames;
    }

    /** Pixels of the network's input, to which every picture is resized. */
    public int inputWidth() {
        return inputWidth;
    }

    public int inputHeight() {
        return inputHeight;
    }
}
