package io.pocketdet;

import java.io.File;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** How long and on what {@link Bench} measures; what is null is as pocketdet-run bench has it. Immutable. */
public final class BenchOptions {
    private final Builder chosen;

    private BenchOptions(Builder chosen) {
        this.chosen = chosen;
    }

    /** 20 frames to warm up, then 1,024 frames or 60 seconds of the golden picture. */
    public static BenchOptions defaults() {
        return builder().build();
    }

    public static Builder builder() {
        return new Builder();
    }

    /** Measured frames; alone it is the only end. */
    public Integer frames() {
        return chosen.frames;
    }

    /** Measured time; alone it is the only end. */
    public Double seconds() {
        return chosen.seconds;
    }

    /** Frames before. */
    public Integer warmup() {
        return chosen.warmup;
    }

    /** The processor to stay on. */
    public Integer cpu() {
        return chosen.cpu;
    }

    /** PNG or PPM pictures, taken by turns; the golden one if there is none. */
    public List<File> images() {
        return chosen.images;
    }

    /** Values are checked by {@link Bench#run}, which throws {@link UsageException} for one out of its range. */
    public static final class Builder {
        private Integer frames;
        private Double seconds;
        private Integer warmup;
        private Integer cpu;
        private List<File> images = Collections.emptyList();

        private Builder() {}

        private Builder(Builder other) {
            frames = other.frames;
            seconds = other.seconds;
            warmup = other.warmup;
            cpu = other.cpu;
            images = Collections.unmodifiableList(new ArrayList<>(other.images));
        }

        public Builder frames(Integer count) {
            frames = count;
            return this;
        }

        public Builder seconds(Double time) {
            seconds = time;
            return this;
        }

        public Builder warmup(Integer count) {
            warmup = count;
            return this;
        }

        public Builder cpu(Integer number) {
            cpu = number;
            return this;
        }

        public Builder images(List<File> files) {
            images = files;
            return this;
        }

        public BenchOptions build() {
            return new BenchOptions(new Builder(this));
        }
    }
}
