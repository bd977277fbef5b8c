package io.pocketdet.app;

import android.app.Activity;
import android.content.ClipData;
import android.content.ContentProvider;
import android.content.ContentValues;
import android.content.Intent;
import android.database.Cursor;
import android.database.MatrixCursor;
import android.graphics.Bitmap;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import android.provider.OpenableColumns;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;

/** Provides the image that was shared last to the app that the user chose, read-only (a URI permission grant). */
public final class SharedImage extends ContentProvider {
    private static final String NAME = "pocketdet.png";

    /** Writes the image for {@link #send}. Must not be called on the main thread. */
    static void write(Activity activity, Bitmap image) throws IOException {
        try (OutputStream out = new FileOutputStream(new File(activity.getCacheDir(), NAME))) {
            if (!image.compress(Bitmap.CompressFormat.PNG, 100, out)) {
                throw new IOException(activity.getString(R.string.failed_file, NAME));
            }
        }
    }

    /** Opens Android's list of apps that the image can be sent to. */
    static void send(Activity activity) {
        Uri uri = Uri.parse("content://" + activity.getPackageName() + ".shared/" + NAME);
        Intent send = new Intent(Intent.ACTION_SEND)
                              .setType("image/png")
                              .putExtra(Intent.EXTRA_STREAM, uri)
                              .addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION);
        send.setClipData(ClipData.newRawUri(null, uri)); // the grant covers the URIs of the clip data
        activity.startActivity(Intent.createChooser(send, null));
    }

    private File file() {
        return new File(getContext().getCacheDir(), NAME);
    }

    @Override
    public boolean onCreate() {
        return true;
    }

    @Override
    public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
        if (!mode.equals("r")) {
            throw new FileNotFoundException(uri + ": expected mode r, found " + mode);
        }
        return ParcelFileDescriptor.open(file(), ParcelFileDescriptor.MODE_READ_ONLY);
    }

    @Override
    public String getType(Uri uri) {
        return "image/png";
    }

    @Override
    public Cursor query(Uri uri, String[] columns, String selection, String[] arguments, String order) {
        MatrixCursor cursor = new MatrixCursor(new String[] {OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE});
        cursor.addRow(new Object[] {NAME, file().length()});
        return cursor;
    }

    @Override
    public Uri insert(Uri uri, ContentValues values) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int delete(Uri uri, String selection, String[] arguments) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int update(Uri uri, ContentValues values, String selection, String[] arguments) {
        throw new UnsupportedOperationException();
    }
}
