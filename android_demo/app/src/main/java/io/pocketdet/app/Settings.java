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
        return new Choice(
                stored.getString("precision", ""), stored.getInt("threads", 1), stored.getBoolean("bigCores", false));
    }

    void remember(BundleEntry entry, Choice choice) {
        stored.edit()
                .putString("bundle", entry.id())
                .putString("precision", choice.precision)
                .putInt("threads", choice.threads)
                .putBoolean("bigCores", choice.bigCores)
                .apply();
    }

    /** The score from which boxes are shown; 0 shows all that the bundle's threshold leaves. */
    float leastScore() {
        return stored.getFloat("leastScore", 0);
    }

    void setLeastScore(float score) {
        stored.edit().putFloat("leastScore", score).apply();
    }

    boolean facesUser() {
        return stored.getBoolean("facesUser", false);
    }

    void setFacesUser(boolean front) {
        stored.edit().putBoolean("facesUser", front).apply();
    }
}
