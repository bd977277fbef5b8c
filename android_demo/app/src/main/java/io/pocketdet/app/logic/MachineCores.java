package io.pocketdet.app.logic;

import java.util.Comparator;
import org.json.JSONArray;
import org.json.JSONObject;

/** Which core a measurement stays on. */
public final class MachineCores {
    private static final Comparator<JSONObject> SPEED =
            Comparator.<JSONObject>comparingDouble(core -> core.optDouble("most_khz", 0))
                    .thenComparingDouble(core -> core.optDouble("capacity", 0))
                    .thenComparingInt(core -> core.optInt("cpu", 0));

    private MachineCores() {
    }

    /**
     * The last of the fastest in the document that describes the machine: by clock, then capacity, then number, as
     * `pocketdet bench` chooses. Null where it lists none.
     */
    public static Integer fastest(String machine) {
        JSONArray cores = Documents.find(Documents.parse(machine), JSONArray.class, "machine", "cpus");
        JSONObject best = null;
        for (int i = 0; cores != null && i < cores.length(); i++) {
            JSONObject core = cores.optJSONObject(i);
            best = core != null && (best == null || SPEED.compare(core, best) > 0) ? core : best;
        }
        return best == null ? null : best.optInt("cpu", 0);
    }
}
