package io.pocketdet.app;

import android.annotation.TargetApi;
import android.content.Context;
import android.os.Build;
import android.os.PowerManager;
import io.pocketdet.app.logic.ThermalState;

/** How warm the device is, as far as its Android tells: a status from 10 on, a headroom from 11 on. */
@TargetApi(Build.VERSION_CODES.R)
final class Thermal {
    private final PowerManager power;

    Thermal(Context context) {
        power = context.getSystemService(PowerManager.class);
    }

    /** Android answers NaN for the headroom when it is asked more than once a second. */
    ThermalState read() {
        int status = Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q ? power.getCurrentThermalStatus() : -1;
        float headroom = Build.VERSION.SDK_INT >= Build.VERSION_CODES.R ? power.getThermalHeadroom(0) : Float.NaN;
        return new ThermalState(status, headroom);
    }
}
