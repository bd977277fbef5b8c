package io.pocketdet.app;

import android.annotation.TargetApi;
import android.content.Context;
import android.os.Build;
import android.os.PowerManager;
import io.pocketdet.app.logic.ThermalState;

/** The thermal state that Android reports: a status from Android 10 on, a headroom from Android 11 on. */
@TargetApi(Build.VERSION_CODES.R)
final class Thermal {
    private final PowerManager power;

    Thermal(Context context) {
        power = context.getSystemService(PowerManager.class);
    }

    /** The headroom is NaN if this is called more than once a second. */
    ThermalState read() {
        int status = Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q ? power.getCurrentThermalStatus() : -1;
        float headroom = Build.VERSION.SDK_INT >= Build.VERSION_CODES.R ? power.getThermalHeadroom(0) : Float.NaN;
        return new ThermalState(status, headroom);
    }
}
