package io.pocketdet;

/** What an app may choose; what is null is as the bundle says. Immutable. */
public final class DetectorOptions {
    private final Builder chosen;

    private DetectorOptions(Builder chosen) {
        this.chosen = chosen;
    }

    /** Everything as the bundle says, on any core. */
    public static DetectorOptions defaults() {
        return builder().build();
    }

    public static Builder builder() {
        return new Builder();
    }

    /** "fp32", "fp16-storage", "fp16" or "bf16-storage"; a processor may lack it, see {@link BundleInfo}. */
    public String precision() {
        return chosen.precision;
    }

    /** 1 is the only count that this library's ncnn runs. */
    public Integer threads() {
        return chosen.threads;
    }

    /** 0..1, the least score of a detection. */
    public Float scoreThreshold() {
        return chosen.scoreThreshold;
    }

    /** 0..1, the overlap above which boxes of a class suppress each other. */
    public Float nmsIou() {
        return chosen.nmsIou;
    }

    /** 1..10000 of one picture. */
    public Integer maxDetections() {
        return chosen.maxDetections;
    }

    /** 1..10000 proposals that the head of a two-stage detector sees. */
    public Integer rois() {
        return chosen.rois;
    }

    /**
     * The SHA-256 that the bundle's manifest must have, 64 hexadecimal digits in lower case; any bundle if null. The
     * manifest lists the hashes of all other files, so that the digest names the whole bundle; `pocketdet info` and
     * {@link BundleInfo#digest} have it.
     */
    public String digest() {
        return chosen.digest;
    }

    /** Whether frames run on the fastest cores; whether the system allowed it: {@link Detections#pinned}. */
    public boolean bigCores() {
        return chosen.bigCores;
    }

    /** Values are checked by {@link Detector#open}, which throws {@link UsageException} for one out of its range. */
    public static final class Builder {
        private String precision;
        private Integer threads;
        private Float scoreThreshold;
        private Float nmsIou;
        private Integer maxDetections;
        private Integer rois;
        private String digest;
        private boolean bigCores;

        private Builder() {}

        private Builder(Builder other) {
            precision = other.precision;
            threads = other.threads;
            scoreThreshold = other.scoreThreshold;
            nmsIou = other.nmsIou;
            maxDetections = other.maxDetections;
            rois = other.rois;
            digest = other.digest;
            bigCores = other.bigCores;
        }

        public Builder precision(String name) {
            precision = name;
            return this;
        }

        public Builder threads(Integer count) {
            threads = count;
            return this;
        }

        public Builder scoreThreshold(Float threshold) {
            scoreThreshold = threshold;
            return this;
        }

        public Builder nmsIou(Float overlap) {
            nmsIou = overlap;
            return this;
        }

        public Builder maxDetections(Integer count) {
            maxDetections = count;
            return this;
        }

        public Builder rois(Integer count) {
            rois = count;
            return this;
        }

        public Builder digest(String sha256) {
            digest = sha256;
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
