package io.pocketdet;

import java.io.File;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Options of {@link Bench}. Null means the default of `pocketdet-run bench`. Immutable. */
public final class BenchOptions {
    private final Builder chosen;

    private BenchOptions(Builder chosen) {
        this.chosen = chosen;
    }

    /** Returns the defaults: 20 warm-up frames, then 1,024 frames or 60 seconds of the golden image. */
    public static BenchOptions defaults() {
        return builder().build();
    }

    /** Returns a builder with the defaults. */
    public static Builder builder() {
        return new Builder();
    }

    /** Returns the number of measured frames. If set alone, there is no time limit. */
    public @Nullable Integer frames() {
        return chosen.frames;
    }

    /** Returns the measured time in seconds. If set alone, there is no frame limit. */
    public @Nullable Double seconds() {
        return chosen.seconds;
    }

    /** Returns the number of warm-up frames. */
    public @Nullable Integer warmup() {
        return chosen.warmup;
    }

    /** Returns the processor that the thread is pinned to. */
    public @Nullable Integer cpu() {
        return chosen.cpu;
    }

    /** Returns PNG or PPM images, used in turn; the golden image if empty. */
    public List<File> images() {
        return chosen.images;
    }

    /** Returns whether every layer is timed, too, in one frame of each pair; the document says what that costs. */
    public boolean layers() {
        return chosen.layers;
    }

    /** Builds options. {@link Bench#run} validates them and throws {@link UsageException} if one is out of range. */
    public static final class Builder {
        private @Nullable Integer frames;
        private @Nullable Double seconds;
        private @Nullable Integer warmup;
        private @Nullable Integer cpu;
        private List<File> images = Collections.emptyList();
        private boolean layers;

        private Builder() {
        }

        private Builder(Builder other) {
            frames = other.frames;
            seconds = other.seconds;
            warmup = other.warmup;
            cpu = other.cpu;
            images = Collections.unmodifiableList(new ArrayList<>(other.images));
            layers = other.layers;
        }

        public Builder frames(@Nullable Integer count) {
            frames = count;
            return this;
        }

        public Builder seconds(@Nullable Double time) {
            seconds = time;
            return this;
        }

        public Builder warmup(@Nullable Integer count) {
            warmup = count;
            return this;
        }

        public Builder cpu(@Nullable Integer number) {
            cpu = number;
            return this;
        }

        public Builder images(List<File> files) {
            images = files;
            return this;
        }

        public Builder layers(boolean timed) {
            layers = timed;
            return this;
        }

        public BenchOptions build() {
            return new BenchOptions(new Builder(this));
        }
    }
}
