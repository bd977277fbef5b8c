package io.pocketdet;

import org.jspecify.annotations.Nullable;

/** Options of a {@link Detector}. Null means the value of the bundle. Immutable. */
public final class DetectorOptions {
    private final Builder chosen;

    private DetectorOptions(Builder chosen) {
        this.chosen = chosen;
    }

    /** Returns options without overrides, on any core. */
    public static DetectorOptions defaults() {
        return builder().build();
    }

    /** Returns a builder without overrides. */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns the requested arithmetic: "fp32", "fp16-storage", "fp16" or "bf16-storage". Falls back to fp32 on
     * processors without it, see {@link BundleInfo#arithmeticUsed}.
     */
    public @Nullable String precision() {
        return chosen.precision;
    }

    /**
     * Returns the number of threads that share the work of each layer, 1 to {@link Detector#maxThreads}; 1 by default,
     * the way benchmarks measure.
     */
    public @Nullable Integer threads() {
        return chosen.threads;
    }

    /** Returns the score threshold in [0, 1]. */
    public @Nullable Float scoreThreshold() {
        return chosen.scoreThreshold;
    }

    /** Returns the IoU threshold of NMS in [0, 1]. */
    public @Nullable Float nmsIou() {
        return chosen.nmsIou;
    }

    /** Returns the maximum number of detections per image, 1 to 10,000. */
    public @Nullable Integer maxDetections() {
        return chosen.maxDetections;
    }

    /** Returns the number of proposals of a two-stage detector, 1 to 10,000. */
    public @Nullable Integer rois() {
        return chosen.rois;
    }

    /**
     * Returns the required SHA-256 of the bundle's manifest, 64 lower-case hexadecimal digits; null accepts any bundle.
     * The manifest lists the hashes of all other files, so the digest identifies the bundle. `pocketdet info` and
     * {@link BundleInfo#digest} report it.
     */
    public @Nullable String digest() {
        return chosen.digest;
    }

    /**
     * Returns the input size to run the bundle at, "HEIGHTxWIDTH" or one side in pixels, one of
     * {@link BundleInfo#inputSizes}; null is its first.
     */
    public @Nullable String inputSize() {
        return chosen.inputSize;
    }

    /** Returns whether frames are to run on the fastest cores; {@link Detections#pinned} reports the result. */
    public boolean bigCores() {
        return chosen.bigCores;
    }

    /**
     * Builds options. {@link Detector#open} validates them and throws {@link UsageException} if one is out of range.
     */
    public static final class Builder {
        private @Nullable String precision;
        private @Nullable Integer threads;
        private @Nullable Float scoreThreshold;
        private @Nullable Float nmsIou;
        private @Nullable Integer maxDetections;
        private @Nullable Integer rois;
        private @Nullable String digest;
        private @Nullable String inputSize;
        private boolean bigCores;

        private Builder() {
        }

        private Builder(Builder other) {
            precision = other.precision;
            threads = other.threads;
            scoreThreshold = other.scoreThreshold;
            nmsIou = other.nmsIou;
            maxDetections = other.maxDetections;
            rois = other.rois;
            digest = other.digest;
            inputSize = other.inputSize;
            bigCores = other.bigCores;
        }

        public Builder precision(@Nullable String name) {
            precision = name;
            return this;
        }

        public Builder threads(@Nullable Integer count) {
            threads = count;
            return this;
        }

        public Builder scoreThreshold(@Nullable Float threshold) {
            scoreThreshold = threshold;
            return this;
        }

        public Builder nmsIou(@Nullable Float overlap) {
            nmsIou = overlap;
            return this;
        }

        public Builder maxDetections(@Nullable Integer count) {
            maxDetections = count;
            return this;
        }

        public Builder rois(@Nullable Integer count) {
            rois = count;
            return this;
        }

        public Builder digest(@Nullable String sha256) {
            digest = sha256;
            return this;
        }

        public Builder inputSize(@Nullable String size) {
            inputSize = size;
            return this;
        }

        public Builder bigCores(boolean only) {
            bigCores = only;
            return this;
        }

        public DetectorOptions build() {
            return new DetectorOptions(new Builder(this));
        }
    }
}
