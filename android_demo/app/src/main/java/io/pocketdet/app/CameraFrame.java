package io.pocketdet.app;

import android.graphics.Rect;
import android.media.Image;
import io.pocketdet.Frame;
import io.pocketdet.app.logic.RefCountedCloser;

/**
 * One camera image in the camera's memory, valid until it is closed. The closer keeps the memory while the camera
 * closes.
 */
final class CameraFrame implements AutoCloseable {
    private final Image image;
    private final RefCountedCloser closer;
    private final int degrees;
    final boolean mirrored;

    /** `closer` must be acquired for this frame; `degrees` is the rotation to upright. */
    CameraFrame(Image image, RefCountedCloser closer, int degrees, boolean mirrored) {
        this.image = image;
        this.closer = closer;
        this.degrees = degrees;
        this.mirrored = mirrored;
    }

    /** Returns the upright image, valid while this is open. */
    Frame frame() {
        Image.Plane[] planes = image.getPlanes();
        Rect part = image.getCropRect();
        return Frame
                .yuv420(planes[0].getBuffer(), planes[1].getBuffer(), planes[2].getBuffer(), image.getWidth(),
                        image.getHeight(), planes[0].getRowStride(), planes[1].getRowStride(),
                        planes[1].getPixelStride())
                .crop(part.left, part.top, part.right, part.bottom)
                .rotate(degrees);
    }

    @Override
    public void close() {
        image.close();
        closer.release();
    }
}
