package io.pocketdet.app;

import android.content.Context;
import android.content.SharedPreferences;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.Choice;

/** What is remembered until the app is removed. */
final class Settings {
    private final SharedPreferences stored;

    Settings(Context context) {
        stored = context.getSharedPreferences("settings", Context.MODE_PRIVATE);
    }

    /** Id of the bundle chosen last, or null. */
    String bundle() {
        return stored.getString("bundle", null);
    }

    Choice choice() {
        return new Choice(stored.getString("precision", ""), stored.getInt("threads", 1),
                stored.getBoolean("bigCores", false), stored.getFloat("leastScore", Choice.SCORES.get(0)));
    }

    void remember(BundleEntry entry, Choice choice) {
        stored.edit()
                .putString("bundle", entry.id())
                .putString("precision", choice.precision)
                .putInt("threads", choice.threads)
                .putBoolean("bigCores", choice.bigCores)
                .putFloat("leastScore", choice.leastScore)
                .apply();
    }

    /** Whether the user was ever asked for the camera: the system does not tell "never" from "refused for good". */
    boolean hasAsked() {
        return stored.getBoolean("asked", false);
    }

    void setAsked() {
        stored.edit().putBoolean("asked", true).apply();
    }

    boolean facesUser() {
        return stored.getBoolean("facesUser", false);
    }

    void setFacesUser(boolean front) {
        stored.edit().putBoolean("facesUser", front).apply();
    }
}
