package io.pocketdet.app;

import android.content.ContentResolver;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.Color;
import android.graphics.Matrix;
import android.media.ExifInterface;
import android.net.Uri;
import io.pocketdet.app.logic.ImageSize;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;

/** Images of other apps, upright and no larger than can be shown. */
final class ImageLoader {
    private ImageLoader() {
    }

    /**
     * Four bytes a pixel, turned as its EXIF says; takes long. Throws IOException, with what the sender calls its type,
     * for what is no image, io.pocketdet.ImageException for one that is too large, OutOfMemoryError, and any
     * RuntimeException that comes from the app whose image it is.
     */
    static Bitmap read(ContentResolver resolver, Uri uri) throws IOException {
        BitmapFactory.Options options = new BitmapFactory.Options();
        options.inJustDecodeBounds = true;
        try (InputStream in = open(resolver, uri)) {
            BitmapFactory.decodeStream(in, null, options);
        }
        if (options.outWidth < 1 || options.outHeight < 1) {
            throw new IOException(String.valueOf(resolver.getType(uri)));
        }
        options.inJustDecodeBounds = false;
        options.inPreferredConfig = Bitmap.Config.ARGB_8888;
        options.inSampleSize = ImageSize.sampling(options.outWidth, options.outHeight);
        Bitmap bitmap;
        try (InputStream in = open(resolver, uri)) {
            bitmap = BitmapFactory.decodeStream(in, null, options);
        }
        if (bitmap == null) {
            throw new IOException(options.outMimeType);
        }
        bitmap = argb(bitmap);
        int degrees = degrees(resolver, uri);
        if (degrees == 0) {
            return bitmap;
        }
        Matrix turn = new Matrix();
        turn.postRotate(degrees);
        Bitmap upright = Bitmap.createBitmap(bitmap, 0, 0, bitmap.getWidth(), bitmap.getHeight(), turn, true);
        bitmap.recycle(); // a turn of 90 degrees and more is a copy
        return upright;
    }

    /** The bitmap in the format that detectors read, four bytes per pixel; a copy if it has another one. */
    static Bitmap argb(Bitmap bitmap) {
        return bitmap.getConfig() == Bitmap.Config.ARGB_8888 ? bitmap : bitmap.copy(Bitmap.Config.ARGB_8888, false);
    }

    /** A bitmap of packed rows of red, green and blue bytes. */
    static Bitmap bitmap(byte[] rgb, int width, int height) {
        int[] colours = new int[width * height];
        for (int i = 0; i < colours.length; i++) {
            colours[i] = Color.rgb(rgb[3 * i] & 255, rgb[3 * i + 1] & 255, rgb[3 * i + 2] & 255);
        }
        return Bitmap.createBitmap(colours, width, height, Bitmap.Config.ARGB_8888);
    }

    static InputStream open(ContentResolver resolver, Uri uri) throws IOException {
        InputStream in = resolver.openInputStream(uri);
        if (in == null) {
            throw new FileNotFoundException(String.valueOf(uri));
        }
        return in;
    }

    private static int degrees(ContentResolver resolver, Uri uri) {
        switch (orientation(resolver, uri)) {
            case ExifInterface.ORIENTATION_ROTATE_90:
                return 90;
            case ExifInterface.ORIENTATION_ROTATE_180:
                return 180;
            case ExifInterface.ORIENTATION_ROTATE_270:
                return 270;
            default:
                return 0;
        }
    }

    private static int orientation(ContentResolver resolver, Uri uri) {
        try (InputStream in = open(resolver, uri)) {
            return new ExifInterface(in).getAttributeInt(
                    ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL);
        } catch (IOException | RuntimeException error) {
            return ExifInterface.ORIENTATION_NORMAL; // of a format without EXIF, or with a damaged one
        }
    }
}
