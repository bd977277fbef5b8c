package io.pocketdet;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Properties of a bundle and the arithmetic in use on this processor. Immutable; valid after its detector is closed.
 */
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

    /** Returns the name of the bundle. */
    public String name() {
        return texts[0];
    }

    /** Returns the architecture of the model. */
    public String architecture() {
        return texts[1];
    }

    /** Returns "two-stage" or "one-stage". */
    public String kind() {
        return texts[2];
    }

    /** Returns the narrowest weight storage: "fp32", "fp16" or "int8". */
    public String storage() {
        return texts[3];
    }

    /**
     * Former name of {@link #arithmeticRequested}.
     *
     * @deprecated use {@link #arithmeticRequested}
     */
    @Deprecated
    public String arithmeticAsked() {
        return arithmeticRequested();
    }

    /** Returns the requested arithmetic of layers that are not int8: that of the options, else of the bundle. */
    public String arithmeticRequested() {
        return texts[4];
    }

    /** Returns the arithmetic in use on this processor. */
    public String arithmeticUsed() {
        return texts[5];
    }

    /** Explains in one sentence why the two differ; empty if they are equal. */
    public String precisionNote() {
        return texts[6];
    }

    /** Returns the SHA-256 of the manifest. It identifies the bundle, because the manifest lists all file hashes. */
    public String digest() {
        return texts[7];
    }

    /** Returns ncnn's version and build options. */
    public String ncnnVersion() {
        return texts[8];
    }

    /** Returns the input sizes of the bundle as "HEIGHTxWIDTH" in pixels, the default one first. */
    public List<String> inputSizes() {
        return Collections.unmodifiableList(Arrays.asList(texts[9].split(" ")));
    }

    /** Returns class names by label. */
    public List<String> classNames() {
        return classNames;
    }

    /** Returns the width of the network input in pixels; images are resized to it. */
    public int inputWidth() {
        return inputWidth;
    }

    /** Returns the height of the network input in pixels. */
    public int inputHeight() {
        return inputHeight;
    }
}
