package io.pocketdet.app;

import android.Manifest;
import android.app.Activity;
import android.content.pm.PackageManager;

/** The user's consent to the camera. */
final class CameraPermission {
    private static final int REQUEST = 1;

    private final Activity activity;
    private boolean rationaleBefore = true; // unknown if the process ended since: then nothing is final

    CameraPermission(Activity activity) {
        this.activity = activity;
    }

    boolean isGranted() {
        return activity.checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED;
    }

    /** Whether the system wants the question to be explained. */
    boolean wantsRationale() {
        return activity.shouldShowRequestPermissionRationale(Manifest.permission.CAMERA);
    }

    /** As it was when the question was last put. */
    boolean wantedRationale() {
        return rationaleBefore;
    }

    /** The answer comes to the activity. */
    void ask() {
        rationaleBefore = wantsRationale();
        activity.requestPermissions(new String[] {Manifest.permission.CAMERA}, REQUEST);
    }
}
