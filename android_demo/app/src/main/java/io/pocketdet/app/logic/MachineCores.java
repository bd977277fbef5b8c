package io.pocketdet.app.logic;

import org.json.JSONArray;
import org.json.JSONObject;

/** Which core a measurement stays on. */
public final class MachineCores {
    private MachineCores() {
    }

    /**
     * The last of the fastest in the document that describes the machine: by clock, then capacity, then number, as
     * `pocketdet bench` chooses. Null where it lists none.
     */
    public static Integer fastest(String machine) {
        JSONArray cores = Documents.find(Documents.parse(machine), JSONArray.class, "machine", "cpus");
        double[] best = null;
        for (int i = 0; cores != null && i < cores.length(); i++) {
            JSONObject core = cores.optJSONObject(i);
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

    private static double number(JSONObject core, String name) {
        return core == null ? 0 : core.optDouble(name, 0);
    }
}
