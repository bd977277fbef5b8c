package io.pocketdet.app.logic;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** The thermal state of the device. Immutable. */
public final class ThermalState {
    /** In the order of Android's PowerManager.THERMAL_STATUS_NONE and the constants after it. */
    private static final List<String> NAMES =
            Arrays.asList("none", "light", "moderate", "severe", "critical", "emergency", "shutdown");

    /** "none" for no throttling, then "light" to "shutdown"; empty where Android does not report it. */
    public final String status;

    /** PowerManager.getThermalHeadroom: 1 is where severe throttling begins; NaN where Android reports no number. */
    public final float headroom;

    /** `status` is Android's number, or -1. */
    public ThermalState(int status, float headroom) {
        this.status = status >= 0 && status < NAMES.size() ? NAMES.get(status) : "";
        this.headroom = Float.isInfinite(headroom) ? Float.NaN : headroom;
    }

    public boolean isKnown() {
        return !status.isEmpty() || !Float.isNaN(headroom);
    }

    /** A JSON document of an object, with the field "android" that has both states; null stands for unknown. */
    public static String add(String document, ThermalState before, ThermalState after) {
        String fields = String.format(
                Locale.ROOT, ",\"android\":{\"thermal\":{\"before\":%s,\"after\":%s}}}", before.json(), after.json());
        return document.substring(0, document.lastIndexOf('}')) + fields;
    }

    private String json() {
        return String.format("{\"status\":%s,\"headroom\":%s}", status.isEmpty() ? null : "\"" + status + "\"",
                Float.isNaN(headroom) ? null : Float.toString(headroom));
    }
}
