package io.pocketdet;

import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;

/** Wall milliseconds of one frame, stage by stage. Immutable. */
public final class StageTimes {
    private static final Collection<String> BEFORE = new HashSet<>(Arrays.asList("convert", "preprocess"));
    private static final Collection<String> NETWORKS = new HashSet<>(Arrays.asList("features", "head", "model"));

    private final String[] stages;
    private final double[] milliseconds;

    StageTimes(String[] stages, double[] milliseconds) {
        this.stages = stages;
        this.milliseconds = milliseconds;
    }

    /**
     * In the order they ran. "convert" turns the frame into RGB, cropped and rotated; then, of a two-stage detector,
     * "preprocess", "features", "proposals", "roi_align", "head", "boxes", of a one-stage detector "preprocess",
     * "model", "boxes".
     */
    public String[] stages() {
        return stages.clone();
    }

    /** As long as {@link #stages}. */
    public double[] milliseconds() {
        return milliseconds.clone();
    }

    /** Until the network has its input. */
    public double pre() {
        return sum(BEFORE);
    }

    /** In the networks. */
    public double infer() {
        return sum(NETWORKS);
    }

    /** Everything else: proposals, RoI align and boxes. */
    public double post() {
        return total() - pre() - infer();
    }

    public double total() {
        double sum = 0;
        for (double one : milliseconds) {
            sum += one;
        }
        return sum;
    }

    private double sum(Collection<String> names) {
        double sum = 0;
        for (int i = 0; i < stages.length; i++) {
            sum += names.contains(stages[i]) ? milliseconds[i] : 0;
        }
        return sum;
    }
}
