package io.pocketdet.app;

import android.annotation.TargetApi;
import android.content.Intent;
import android.os.Build;
import android.provider.MediaStore;

/** The request for an image or a video of the device: the photo picker of Android 13 and later, else documents. */
@TargetApi(Build.VERSION_CODES.TIRAMISU)
final class MediaPicker {
    private MediaPicker() {
    }

    static Intent intent() {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) {
            return new Intent(MediaStore.ACTION_PICK_IMAGES);
        }
        return new Intent(Intent.ACTION_OPEN_DOCUMENT)
                .addCategory(Intent.CATEGORY_OPENABLE)
                .setType("*/*")
                .putExtra(Intent.EXTRA_MIME_TYPES, new String[] {"image/*", "video/*"});
    }
}
