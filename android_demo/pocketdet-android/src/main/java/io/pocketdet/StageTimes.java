package io.pocketdet;

import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;

/** Wall time of each stage of one frame in milliseconds. Immutable. */
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
     * Returns stage names in execution order: "convert" (conversion to RGB, crop and rotation), then "preprocess",
     * "features", "proposals", "roi_align", "head", "boxes" of a two-stage detector, or "preprocess", "model", "boxes"
     * of a one-stage detector.
     */
    public String[] stages() {
        return stages.clone();
    }

    /** Returns milliseconds in the order of {@link #stages}. */
    public double[] milliseconds() {
        return milliseconds.clone();
    }

    /** Returns milliseconds of conversion and preprocessing. */
    public double pre() {
        return sum(BEFORE);
    }

    /** Returns milliseconds of the networks. */
    public double infer() {
        return sum(NETWORKS);
    }

    /** Returns milliseconds of proposals, RoI align and boxes. */
    public double post() {
        return total() - pre() - infer();
    }

    /** Returns milliseconds of all stages. */
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
