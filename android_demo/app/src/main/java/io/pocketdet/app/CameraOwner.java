package io.pocketdet.app;

import android.graphics.Matrix;
import android.graphics.SurfaceTexture;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraManager;
import android.os.Handler;
import android.os.HandlerThread;
import android.view.Display;
import android.view.TextureView;
import io.pocketdet.app.logic.Controller;
import io.pocketdet.app.logic.PreviewTransform;
import io.pocketdet.app.logic.SensorRotation;
import io.pocketdet.app.logic.StreamSizes;
import io.pocketdet.app.logic.ViewFit;
import java.util.function.Consumer;

/**
 * The only one that owns the camera: opens it when it is wanted and there is a view to show it in, closes it when
 * either goes away, and keeps the preview upright. Its methods are called on the screen's thread, but for what a
 * {@link CameraSession} tells on the camera's thread.
 */
final class CameraOwner implements Controller.CameraPort, TextureView.SurfaceTextureListener {
    /** One for the process, never ended: a camera that opens after its screen is gone is closed there. */
    private static final Handler CAMERA = cameraThread();

    private final CameraManager manager;
    private final TextureView view;
    private final Display display;
    private final Handler main;
    private final Consumer<CameraSession.CameraImage> frames; // on the camera's thread; it closes them
    private final CameraManager.AvailabilityCallback availability = new Availability();
    private Controller controller;
    private boolean wanted;
    private boolean facingUser;
    private CameraInfo choice;
    private StreamSizes sizes;
    private CameraSession session;
    private ViewFit fit;
    private float zoom = 1;
    private boolean torch;
    private volatile int degrees;

    CameraOwner(CameraManager manager, TextureView view, Display display, Handler main,
            Consumer<CameraSession.CameraImage> frames) {
        this.manager = manager;
        this.view = view;
        this.display = display;
        this.main = main;
        this.frames = frames;
        view.setSurfaceTextureListener(this);
        manager.registerAvailabilityCallback(availability, main);
    }

    private static Handler cameraThread() {
        HandlerThread thread = new HandlerThread("camera");
        thread.start();
        return new Handler(thread.getLooper());
    }

    /** The controller that receives the camera's events; set before {@link #start}. */
    void setController(Controller receiver) {
        controller = receiver;
    }

    /** Which camera {@link #start} opens. */
    void setFacingUser(boolean front) {
        facingUser = front;
        sizes = null;
        zoom = 1;
        torch = false;
    }

    /** Multiplies the zoom, within the camera's range. */
    void zoomBy(float factor) {
        if (session != null) {
            zoom = Math.max(1, Math.min(zoom * factor, choice.maxZoom));
            session.set(zoom, torch);
        }
    }

    /** Switches the torch on or off, if the camera has one. */
    void switchTorch() {
        torch = session != null && choice.hasTorch && !torch;
        if (session != null) {
            session.set(zoom, torch);
        }
    }

    /** Focuses on what a point of the view shows. */
    void focusAt(float x, float y) {
        if (session != null && fit != null) {
            session.focus(fit.acrossAt(x), fit.downAt(y));
        }
    }

    @Override
    public void start() {
        wanted = true;
        openIfPossible();
    }

    @Override
    public void stop() {
        wanted = false;
        torch = false;
        closeThen(() -> {});
    }

    /** The owner is of no use after it. */
    void release() {
        stop();
        manager.unregisterAvailabilityCallback(availability);
    }

    /** The display was turned, or the view has another size. */
    void onGeometry() {
        if (sizes == null || view.getWidth() == 0 || view.getHeight() == 0) {
            return;
        }
        degrees = SensorRotation.degrees(choice.sensor, display.getRotation(), choice.facesUser);
        boolean swapped = SensorRotation.swaps(degrees);
        int[] size = sizes.preview;
        fit = ViewFit.inside(
                size[swapped ? 1 : 0], size[swapped ? 0 : 1], view.getWidth(), view.getHeight(), choice.facesUser);
        float[] m = PreviewTransform.matrix(
                size[0], size[1], choice.sensor, display.getRotation(), view.getWidth(), view.getHeight(), fit);
        Matrix matrix = new Matrix();
        matrix.setValues(new float[] {m[0], m[1], m[2], m[3], m[4], m[5], 0, 0, 1});
        view.setTransform(matrix);
    }

    private void openIfPossible() {
        if (!wanted || session != null || !view.isAvailable()) {
            return;
        }
        try {
            choice = CameraInfo.find(manager, facingUser);
        } catch (CameraAccessException | IllegalArgumentException error) {
            fail(R.string.camera_broken);
            return;
        }
        if (choice == null) {
            controller.onNoCamera();
        } else if (choice.sizes == null) {
            fail(R.string.camera_no_size);
        } else {
            sizes = sizes == null ? choice.sizes : sizes; // kept, for a camera that has refused larger ones
            onGeometry();
            session = new CameraSession(manager, choice, sizes, view.getSurfaceTexture(), CAMERA, this);
            session.open(zoom, torch);
        }
    }

    /** `reason`: a text resource. */
    private void fail(int reason) {
        boolean lent = reason == R.string.camera_in_use || reason == R.string.camera_lost;
        controller.onCameraFailed(view.getContext().getString(reason), lent);
    }

    private void closeThen(Runnable after) {
        if (session == null) {
            CAMERA.post(after);
        } else {
            session.close(after);
            session = null;
        }
    }

    @Override
    public void onSurfaceTextureAvailable(SurfaceTexture texture, int width, int height) {
        openIfPossible();
    }

    @Override
    public void onSurfaceTextureSizeChanged(SurfaceTexture texture, int width, int height) {
        onGeometry();
    }

    @Override
    public boolean onSurfaceTextureDestroyed(SurfaceTexture texture) {
        closeThen(texture::release);
        return false; // released above, once the camera draws into it no more
    }

    @Override
    public void onSurfaceTextureUpdated(SurfaceTexture texture) {
    }

    /** On the camera's thread, as the methods below. */
    void onOn(CameraSession teller) {
        tell(teller, controller::onCameraOn);
    }

    /** The camera does not take these sizes. */
    void onRefused(CameraSession teller) {
        tell(teller, () -> {
            session = null;
            sizes = sizes.smaller();
            if (sizes == null) {
                fail(R.string.camera_broken);
            } else {
                openIfPossible();
            }
        });
    }

    /** `reason`: a text resource. */
    void onFailed(CameraSession teller, int reason) {
        tell(teller, () -> {
            session = null;
            fail(reason);
        });
    }

    void onImage(CameraSession.CameraImage image) {
        frames.accept(image);
    }

    /** Degrees clockwise that make an image upright now. */
    int degrees() {
        return degrees;
    }

    /** The screen hears of an opening of the camera only while it is the present one. */
    private void tell(CameraSession teller, Runnable event) {
        main.post(() -> {
            if (session == teller) {
                event.run();
            }
        });
    }

    private final class Availability extends CameraManager.AvailabilityCallback {
        @Override
        public void onCameraAvailable(String id) {
            if (choice != null && choice.id.equals(id)) {
                controller.onCameraAvailable();
            }
        }
    }
}
