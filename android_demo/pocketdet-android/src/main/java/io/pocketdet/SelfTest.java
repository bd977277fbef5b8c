package io.pocketdet;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** Result of {@link Detector#selfTest}: one check per stage against PyTorch's values. Immutable. */
public final class SelfTest {
    /** The check of one stage. */
    public static final class Check {
        private final String stage;
        private final boolean ok;
        private final double maxAbs;
        private final double tolerance;
        private final String note;

        /** Called by the native library. */
        Check(String stage, boolean ok, double maxAbs, double tolerance, String note) {
            this.stage = stage;
            this.ok = ok;
            this.maxAbs = maxAbs;
            this.tolerance = tolerance;
            this.note = note;
        }

        /** Returns the name of the stage. */
        public String stage() {
            return stage;
        }

        /** Returns whether the stage is within its tolerance. */
        public boolean ok() {
            return ok;
        }

        /** Returns the largest absolute difference, in units of the stage; pixels for boxes. */
        public double maxAbs() {
            return maxAbs;
        }

        /** Returns the limit of {@link #maxAbs}. */
        public double tolerance() {
            return tolerance;
        }

        /** Returns details such as "7/7 agree", or an empty text. */
        public String note() {
            return note;
        }
    }

    private final List<Check> checks;

    SelfTest(Check[] checks) {
        this.checks = Collections.unmodifiableList(Arrays.asList(checks));
    }

    /** Returns the checks in stage order. The first that fails is the wrong stage. */
    public List<Check> checks() {
        return checks;
    }

    /** Returns whether all stages pass. */
    public boolean ok() {
        return firstFailure() == null;
    }

    /** Returns the result in one sentence. */
    public String summary() {
        Check bad = firstFailure();
        if (bad == null) {
            return "all " + checks.size() + " stages agree with PyTorch";
        }
        String extent = String.format(Locale.ROOT, "by %.3g where %.3g is allowed", bad.maxAbs, bad.tolerance);
        String note = bad.note.isEmpty() ? "" : " (" + bad.note + ")";
        return "stage '" + bad.stage + "' differs from PyTorch " + extent + note
                + ": what this device detects with this bundle cannot be trusted";
    }

    private Check firstFailure() {
        for (Check check : checks) {
            if (!check.ok) {
                return check;
            }
        }
        return null;
    }
}
