package io.pocketdet.app;

import android.graphics.ImageFormat;
import android.graphics.Rect;
import android.graphics.SurfaceTexture;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraCaptureSession;
import android.hardware.camera2.CameraDevice;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CaptureRequest;
import android.hardware.camera2.params.MeteringRectangle;
import android.media.Image;
import android.media.ImageReader;
import android.os.Handler;
import android.view.Surface;
import io.pocketdet.Frame;
import io.pocketdet.app.logic.RefCountedCloser;
import io.pocketdet.app.logic.SensorArea;
import io.pocketdet.app.logic.StreamSizes;
import java.util.Arrays;

/**
 * The camera from one opening to its closing. Everything here happens on the camera's thread, so that a camera which
 * opens after it was closed again finds that out.
 */
final class CameraSession {
    /** One image in the camera's memory, valid until it is closed. */
    static final class CameraImage implements AutoCloseable {
        private final Image image;
        private final RefCountedCloser closer; // keeps the memory while the camera closes
        private final int degrees;
        final boolean mirrored;

        private CameraImage(Image image, RefCountedCloser closer, int degrees, boolean mirrored) {
            this.image = image;
            this.closer = closer;
            this.degrees = degrees;
            this.mirrored = mirrored;
        }

        /** The upright image, valid while this is open. */
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

    /** One in the detector, one that waits, one that arrives, one in a detector that is being replaced. */
    private static final int IMAGES = 4;

    private static final long FOCUS_MS = 5000;

    private final CameraManager manager;
    private final CameraInfo info;
    private final StreamSizes sizes;
    private final SurfaceTexture texture;
    private final Handler thread;
    private final CameraOwner owner; // told on the camera's thread, of nothing after close()
    private final Runnable refocus = () -> focusHere(null);
    private CameraDevice device;
    private CameraCaptureSession capture;
    private ImageReader reader;
    private Surface preview;
    private RefCountedCloser closer;
    private boolean closed;
    private float zoom;
    private boolean torch;
    private MeteringRectangle focus; // null: the camera chooses

    CameraSession(CameraManager manager, CameraInfo info, StreamSizes sizes, SurfaceTexture texture, Handler thread,
            CameraOwner owner) {
        this.manager = manager;
        this.info = info;
        this.sizes = sizes;
        this.texture = texture;
        this.thread = thread;
        this.owner = owner;
    }

    /** May be called on any thread. */
    void open(float zoomed, boolean lit) {
        thread.post(() -> {
            zoom = zoomed;
            torch = lit;
            openHere();
        });
    }

    /** May be called on any thread. `after` runs on the camera's thread once the camera uses nothing any more. */
    void close(Runnable after) {
        thread.post(() -> {
            closeHere();
            after.run();
        });
    }

    /** Sets zoom, from 1 to the camera's maximum, and torch. May be called on any thread. */
    void set(float zoomed, boolean lit) {
        thread.post(() -> {
            zoom = zoomed;
            torch = lit;
            repeat();
        });
    }

    /** Focuses around a point of the upright image for some seconds; see {@link SensorArea#around}. On any thread. */
    void focus(double u, double v) {
        if (!info.focusesOnRequest) {
            return;
        }
        thread.post(() -> {
            int[] area = SensorArea.around(crop(), sizes.frames[0] / (double) sizes.frames[1], owner.degrees(), u, v);
            focusHere(new MeteringRectangle(info.active.left + area[0], info.active.top + area[1], area[2], area[3],
                    MeteringRectangle.METERING_WEIGHT_MAX));
        });
    }

    private void openHere() {
        if (closed) {
            return;
        }
        ImageReader made = ImageReader.newInstance(sizes.frames[0], sizes.frames[1], ImageFormat.YUV_420_888, IMAGES);
        reader = made;
        closer = new RefCountedCloser(made::close);
        reader.setOnImageAvailableListener(this::onImageAvailable, thread);
        try {
            manager.openCamera(info.id, new DeviceCallback(), thread);
        } catch (CameraAccessException error) {
            fail(reason(error.getReason()));
        } catch (SecurityException | IllegalArgumentException error) {
            fail(R.string.camera_lost);
        }
    }

    private void start(CameraDevice camera) {
        device = camera;
        texture.setDefaultBufferSize(sizes.preview[0], sizes.preview[1]);
        preview = new Surface(texture);
        try {
            device.createCaptureSession(Arrays.asList(preview, reader.getSurface()), new CaptureCallback(), thread);
        } catch (IllegalArgumentException error) {
            end(() -> owner.onRefused(this));
        } catch (CameraAccessException | IllegalStateException error) {
            fail(R.string.camera_broken);
        }
    }

    /** Requests images with the present zoom, torch and focus; does nothing before the camera is on. */
    private boolean repeat() {
        if (closed || capture == null) {
            return false;
        }
        try {
            capture.setRepeatingRequest(request().build(), null, thread);
            return true;
        } catch (CameraAccessException | IllegalStateException | IllegalArgumentException error) {
            fail(R.string.camera_broken);
            return false;
        }
    }

    private void focusHere(MeteringRectangle area) {
        focus = area;
        thread.removeCallbacks(refocus);
        if (!repeat() || area == null) {
            return;
        }
        thread.postDelayed(refocus, FOCUS_MS);
        try {
            CaptureRequest.Builder once = request();
            once.set(CaptureRequest.CONTROL_AF_TRIGGER, CaptureRequest.CONTROL_AF_TRIGGER_START);
            capture.capture(once.build(), null, thread);
        } catch (CameraAccessException | IllegalStateException | IllegalArgumentException error) {
            fail(R.string.camera_broken);
        }
    }

    private CaptureRequest.Builder request() throws CameraAccessException {
        CaptureRequest.Builder request = device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW);
        request.addTarget(preview);
        request.addTarget(reader.getSurface());
        if (focus != null) {
            request.set(CaptureRequest.CONTROL_AF_MODE, CaptureRequest.CONTROL_AF_MODE_AUTO);
            request.set(CaptureRequest.CONTROL_AF_REGIONS, new MeteringRectangle[] {focus});
        } else if (info.focusesByItself) {
            request.set(CaptureRequest.CONTROL_AF_MODE, CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_VIDEO);
        }
        if (focus != null && info.measuresRegions) {
            request.set(CaptureRequest.CONTROL_AE_REGIONS, new MeteringRectangle[] {focus});
        }
        if (zoom > 1) {
            int[] crop = crop();
            Rect part = new Rect(0, 0, crop[2], crop[3]);
            part.offset(info.active.left + crop[0], info.active.top + crop[1]);
            request.set(CaptureRequest.SCALER_CROP_REGION, part);
        }
        if (torch && info.hasTorch) {
            request.set(CaptureRequest.FLASH_MODE, CaptureRequest.FLASH_MODE_TORCH);
        }
        return request;
    }

    private int[] crop() {
        return SensorArea.crop(info.active.width(), info.active.height(), zoom);
    }

    private void onImageAvailable(ImageReader source) {
        Image image;
        try {
            image = source.acquireNextImage();
        } catch (IllegalStateException error) {
            return; // all are in use: this frame is lost, the next will do
        }
        if (image == null) {
            return;
        }
        if (closed || !closer.acquire()) {
            image.close();
        } else {
            owner.onImage(new CameraImage(image, closer, owner.degrees(), info.facesUser));
        }
    }

    private void fail(int reason) {
        end(() -> owner.onFailed(this, reason));
    }

    /** Closes the camera and tells of it, unless it was closed before. */
    private void end(Runnable tell) {
        boolean wasClosed = closed;
        closeHere();
        if (!wasClosed) {
            tell.run();
        }
    }

    private void closeHere() {
        if (closed) {
            return;
        }
        closed = true;
        thread.removeCallbacks(refocus);
        if (device != null) {
            device.close();
        }
        if (preview != null) {
            preview.release();
        }
        if (closer != null) {
            closer.close();
        }
    }

    private static int reason(int code) {
        switch (code) {
            case CameraAccessException.CAMERA_IN_USE:
            case CameraAccessException.MAX_CAMERAS_IN_USE:
                return R.string.camera_in_use;
            case CameraAccessException.CAMERA_DISABLED:
                return R.string.camera_disabled;
            case CameraAccessException.CAMERA_DISCONNECTED:
                return R.string.camera_lost;
            default:
                return R.string.camera_broken;
        }
    }

    private final class DeviceCallback extends CameraDevice.StateCallback {
        @Override
        public void onOpened(CameraDevice camera) {
            if (closed) {
                camera.close();
            } else {
                start(camera);
            }
        }

        @Override
        public void onDisconnected(CameraDevice camera) {
            camera.close();
            fail(R.string.camera_lost);
        }

        @Override
        public void onError(CameraDevice camera, int error) {
            camera.close();
            boolean used = error == ERROR_CAMERA_IN_USE || error == ERROR_MAX_CAMERAS_IN_USE;
            boolean disabled = error == ERROR_CAMERA_DISABLED;
            fail(used ? R.string.camera_in_use : disabled ? R.string.camera_disabled : R.string.camera_broken);
        }
    }

    private final class CaptureCallback extends CameraCaptureSession.StateCallback {
        @Override
        public void onConfigured(CameraCaptureSession session) {
            capture = session;
            if (repeat()) {
                owner.onOn(CameraSession.this);
            }
        }

        @Override
        public void onConfigureFailed(CameraCaptureSession session) {
            end(() -> owner.onRefused(CameraSession.this));
        }
    }
}
