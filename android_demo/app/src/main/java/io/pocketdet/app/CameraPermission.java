package io.pocketdet.app;

import android.Manifest;
import android.app.Activity;
import android.content.pm.PackageManager;

/** The user's consent to the camera. */
final class CameraPermission {
    private static final int REQUEST = 1;

    private final Activity activity;
    private final Settings settings;

    CameraPermission(Activity activity, Settings settings) {
        this.activity = activity;
        this.settings = settings;
    }

    boolean isGranted() {
        return activity.checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED;
    }

    /** False once it was refused for good. */
    boolean mayAsk() {
        return !settings.hasAsked() || activity.shouldShowRequestPermissionRationale(Manifest.permission.CAMERA);
    }

    /** The answer comes to the activity. */
    void ask() {
        settings.setAsked();
        activity.requestPermissions(new String[] {Manifest.permission.CAMERA}, REQUEST);
    }

    /** Asks if nobody ever did. */
    void askOnce() {
        if (!isGranted() && !settings.hasAsked()) {
            ask();
        }
    }
}
