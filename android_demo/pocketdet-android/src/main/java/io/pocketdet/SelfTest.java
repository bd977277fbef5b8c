package io.pocketdet;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** What a replay of a bundle's golden picture found: every stage beside PyTorch's values. Immutable. */
public final class SelfTest {
    /** One stage. */
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

        public String stage() {
            return stage;
        }

        public boolean ok() {
            return ok;
        }

        /** The largest difference, in units of the stage; pixels for boxes. */
        public double maxAbs() {
            return maxAbs;
        }

        /** The most that it may be. */
        public double tolerance() {
            return tolerance;
        }

        /** What the numbers do not say, such as "7/7 agree", or empty. */
        public String note() {
            return note;
        }
    }

    private final List<Check> checks;

    SelfTest(Check[] checks) {
        this.checks = Collections.unmodifiableList(Arrays.asList(checks));
    }

    /** In the order of the stages: the first that is not ok is at fault. */
    public List<Check> checks() {
        return checks;
    }

    public boolean ok() {
        return firstBad() == null;
    }

    /** One sentence. */
    public String summary() {
        Check bad = firstBad();
        if (bad == null) {
            return "all " + checks.size() + " stages agree with PyTorch";
        }
        String extent = String.format(Locale.ROOT, "by %.3g where %.3g is allowed", bad.maxAbs, bad.tolerance);
        String note = bad.note.isEmpty() ? "" : " (" + bad.note + ")";
        return "stage '" + bad.stage + "' differs from PyTorch " + extent + note
                + ": what this device detects with this bundle cannot be trusted";
    }

    private Check firstBad() {
        for (Check check : checks) {
            if (!check.ok) {
                return check;
            }
        }
        return null;
    }
}
