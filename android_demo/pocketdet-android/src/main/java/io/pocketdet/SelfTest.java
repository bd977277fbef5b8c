package io.pocketdet;

import java.util.ArrayList;
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
        private final boolean proved;

        /** Called by the native library. */
        Check(String stage, boolean ok, double maxAbs, double tolerance, String note, boolean proved) {
            this.stage = stage;
            this.ok = ok;
            this.proved = proved;
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

        /** Returns whether there was anything to compare. A stage without is ok, and nothing is proved. */
        public boolean proved() {
            return proved;
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

    /** Returns the stages that had nothing to compare, such as boxes if the golden image has no detections. */
    public List<String> notProved() {
        List<String> names = new ArrayList<>();
        for (Check check : checks) {
            if (check.ok && !check.proved) {
                names.add(check.stage);
            }
        }
        return names;
    }

    /** Returns the result in one sentence. */
    public String summary() {
        Check bad = firstFailure();
        if (bad == null) {
            List<String> open = notProved();
            String all = "all " + (checks.size() - open.size()) + " stages agree with PyTorch";
            return open.isEmpty() ? all : all + "; not proved, nothing to compare: " + String.join(", ", open);
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
