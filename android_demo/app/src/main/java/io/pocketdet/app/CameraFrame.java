package io.pocketdet.app;

import android.graphics.Rect;
import android.media.Image;
import io.pocketdet.Frame;
import io.pocketdet.app.logic.Lease;

/**
 * One picture of the camera, in the camera's own memory until it is closed. The lease keeps the memory there: the
 * camera may be gone while the picture is still looked at.
 */
final class CameraFrame implements AutoCloseable {
    private final Image image;
    private final Lease lease;
    private final int degrees;
    final boolean mirrored;

    /** `lease` has been taken for it; `degrees` turn it upright. */
    CameraFrame(Image image, Lease lease, int degrees, boolean mirrored) {
        this.image = image;
        this.lease = lease;
        this.degrees = degrees;
        this.mirrored = mirrored;
    }

    /** The upright picture, as long as this is open. */
    Frame frame() {
        Image.Plane[] planes = image.getPlanes();
        Rect part = image.getCropRect();
        return Frame.yuv420(
                        planes[0].getBuffer(),
                        planes[1].getBuffer(),
                        planes[2].getBuffer(),
                        image.getWidth(),
                        image.getHeight(),
                        planes[0].getRowStride(),
                        planes[1].getRowStride(),
                        planes[1].getPixelStride())
                .crop(part.left, part.top, part.right, part.bottom)
                .rotate(degrees);
    }

    @Override
    public void close() {
        image.close();
        lease.give();
    }
}
