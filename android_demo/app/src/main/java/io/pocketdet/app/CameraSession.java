package io.pocketdet.app;

import android.graphics.ImageFormat;
import android.graphics.SurfaceTexture;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraCaptureSession;
import android.hardware.camera2.CameraDevice;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CaptureRequest;
import android.media.Image;
import android.media.ImageReader;
import android.os.Handler;
import android.view.Surface;
import io.pocketdet.app.logic.RefCountedCloser;
import io.pocketdet.app.logic.StreamSizes;
import java.util.Arrays;

/**
 * The camera from one opening to its closing. Everything here happens on the camera's thread, so that a camera which
 * opens after it was closed again finds that out.
 */
final class CameraSession {
    /** Called on the camera's thread, nothing after {@link #close}. */
    interface Listener {
        void onOn();

        /** The camera does not take these sizes. */
        void onRefused();

        /** A text resource that says why. */
        void onFailed(int reason);

        /** An image that the listener must close. */
        void onImage(Image image, RefCountedCloser closer);
    }

    /** One in the detector, one that waits, one that arrives, one in a detector that is being replaced. */
    private static final int IMAGES = 4;

    private final CameraManager manager;
    private final CameraChoice choice;
    private final StreamSizes sizes;
    private final SurfaceTexture texture;
    private final Handler thread;
    private final Listener listener;
    private CameraDevice device;
    private ImageReader reader;
    private Surface preview;
    private RefCountedCloser closer;
    private boolean closed;

    CameraSession(CameraManager manager, CameraChoice choice, StreamSizes sizes, SurfaceTexture texture, Handler thread,
            Listener listener) {
        this.manager = manager;
        this.choice = choice;
        this.sizes = sizes;
        this.texture = texture;
        this.thread = thread;
        this.listener = listener;
    }

    /** May be called on any thread. */
    void open() {
        thread.post(this::openHere);
    }

    /** May be called on any thread. `after` runs on the camera's thread once the camera uses nothing any more. */
    void close(Runnable after) {
        thread.post(() -> {
            closeHere();
            after.run();
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
            manager.openCamera(choice.id, new DeviceCallback(), thread);
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
            end(listener::onRefused);
        } catch (CameraAccessException | IllegalStateException error) {
            fail(R.string.camera_broken);
        }
    }

    private void repeat(CameraCaptureSession session) {
        try {
            CaptureRequest.Builder request = device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW);
            request.addTarget(preview);
            request.addTarget(reader.getSurface());
            if (choice.focuses) {
                request.set(CaptureRequest.CONTROL_AF_MODE, CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_VIDEO);
            }
            session.setRepeatingRequest(request.build(), null, thread);
            listener.onOn();
        } catch (CameraAccessException | IllegalStateException | IllegalArgumentException error) {
            fail(R.string.camera_broken);
        }
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
            listener.onImage(image, closer);
        }
    }

    private void fail(int reason) {
        end(() -> listener.onFailed(reason));
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
            if (!closed) {
                repeat(session);
            }
        }

        @Override
        public void onConfigureFailed(CameraCaptureSession session) {
            end(listener::onRefused);
        }
    }
}
