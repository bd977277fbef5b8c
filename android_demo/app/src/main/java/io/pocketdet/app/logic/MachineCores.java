package io.pocketdet.app.logic;

import java.util.Collections;
import java.util.List;

/** Which core a measurement stays on. */
public final class MachineCores {
    private MachineCores() {
    }

    /**
     * The last of the fastest in the document that describes the machine: by clock, then capacity, then number, as
     * `pocketdet bench` chooses. Null where it lists none.
     */
    public static Integer fastest(String machine) {
        List<?> cores = Json.find(Json.parse(machine), List.class, "machine", "cpus");
        double[] best = null;
        for (Object core : cores == null ? Collections.emptyList() : cores) {
            double[] rank = {number(core, "most_khz"), number(core, "capacity"), number(core, "cpu")};
            if (best == null || isAbove(rank, best)) {
                best = rank;
            }
        }
        return best == null ? null : (int) best[2];
    }

    private static boolean isAbove(double[] one, double[] other) {
        for (int i = 0; i < one.length; i++) {
            if (one[i] != other[i]) {
                return one[i] > other[i];
            }
        }
        return false;
    }

    private static double number(Object core, String name) {
        Double found = Json.find(core, Double.class, name);
        return found == null ? 0 : found;
    }
}
