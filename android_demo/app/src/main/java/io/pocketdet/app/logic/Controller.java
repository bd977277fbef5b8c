package io.pocketdet.app.logic;

import java.util.function.Consumer;

/**
 * Decides what the camera and the detector do; everything here happens on one thread, the screen's.
 *
 * <p>A load takes long and cannot be taken back, so that each has a number: an answer that comes after another bundle
 * was chosen, or after the app went to the background, is dropped.
 */
public final class Controller {
    /** The one that owns the camera. */
    public interface CameraPort {
        void start();

        void stop();
    }

    /** The one that runs detectors. It answers with the number of the load. */
    public interface EnginePort {
        void load(int number, BundleEntry entry, Choice choice);

        void stop();
    }

    private final CameraPort camera;
    private final EnginePort engine;
    private final Consumer<AppState> screen;
    private AppState state;
    private boolean visible;
    private boolean cameraLent;
    private int number;

    public Controller(CameraPort camera, EnginePort engine, Consumer<AppState> screen, Choice choice) {
        this.camera = camera;
        this.engine = engine;
        this.screen = screen;
        state = AppState.initial(choice);
    }

    public AppState state() {
        return state;
    }

    /** The app is in front. */
    public void onForeground(boolean permitted) {
        visible = true;
        if (state.entry != null) {
            load();
        }
        onPermission(permitted, AppState.Camera.NO_PERMISSION);
    }

    /** The app is no longer seen: the camera is for others, the processor too. */
    public void onBackground() {
        visible = false;
        number++;
        camera.stop();
        engine.stop();
        show(state.with(AppState.Camera.OFF, ""));
    }

    /**
     * The user was asked for the camera. Where the system wants a rationale neither before the question nor after a
     * denial, it put no question, or the user closed it: then the settings are offered. The next time the app comes to
     * the front it may ask again, since neither "never asked" nor a grant that has lapsed can be told from that.
     */
    public void onPermissionAnswer(boolean permitted, boolean rationaleBefore, boolean rationaleAfter) {
        boolean mayAsk = rationaleBefore || rationaleAfter;
        onPermission(permitted, mayAsk ? AppState.Camera.NO_PERMISSION : AppState.Camera.REFUSED);
    }

    private void onPermission(boolean permitted, AppState.Camera otherwise) {
        if (permitted && visible) {
            show(state.with(AppState.Camera.STARTING, ""));
            camera.start();
        } else if (!permitted) {
            show(state.with(otherwise, ""));
        }
    }

    public void onCameraOn() {
        if (visible) {
            show(state.with(AppState.Camera.ON, ""));
        }
    }

    /** The device has none. */
    public void onNoCamera() {
        show(state.with(AppState.Camera.NONE, ""));
    }

    /** It is in use elsewhere, disabled or broken; `detail` is what the system says, `lent` that another app has it. */
    public void onCameraFailed(String detail, boolean lent) {
        if (visible) {
            cameraLent = lent;
            show(state.with(AppState.Camera.FAILED, detail));
        }
    }

    /** Nobody uses the camera. One that failed for another reason than its use would only fail again. */
    public void onCameraAvailable() {
        if (state.camera == AppState.Camera.FAILED && cameraLent) {
            restartCamera();
        }
    }

    /** Open the camera anew: after it failed, or because another one is wanted. */
    public void restartCamera() {
        boolean permitted = state.camera != AppState.Camera.NO_PERMISSION && state.camera != AppState.Camera.REFUSED;
        if (visible && permitted) {
            camera.stop();
            onPermission(true, AppState.Camera.NO_PERMISSION);
        }
    }

    /** Bundles have been looked for; `remembered` is the id of the last one chosen, or null. */
    public void onBundles(BundleCatalog catalog, String remembered) {
        BundleCatalog.Selection found = catalog.choose(remembered);
        if (found.entry != null) {
            use(found.entry, found.skipped, state.choice);
        } else if (found.skipped != null) {
            state = state.with(null, found.skipped, state.choice);
            show(state.with(AppState.Model.SKIPPED, "", ""));
        } else {
            show(state.with(AppState.Model.NO_BUNDLES, "", ""));
        }
    }

    /** The user's choice, which may be a bundle that was skipped. */
    public void choose(BundleEntry entry, Choice choice) {
        use(entry, null, choice);
    }

    private void use(BundleEntry entry, BundleEntry skipped, Choice choice) {
        state = state.with(entry, skipped, choice);
        if (visible) {
            load();
        } else {
            show(state.with(AppState.Model.LOADING, "", ""));
        }
    }

    /** The detector is open and its golden image comes out as it should. */
    public void onModelReady(int loaded, String precision) {
        if (loaded == number) {
            show(state.with(AppState.Model.READY, "", precision));
        }
    }

    public void onModelFailed(int loaded, String sentence) {
        if (loaded == number) {
            show(state.with(AppState.Model.FAILED, sentence, ""));
        }
    }

    public void onSelfTestFailed(int loaded, String precision, String sentence) {
        if (loaded == number) {
            show(state.with(AppState.Model.SELF_TEST_FAILED, sentence, precision));
        }
    }

    /** Whether a result of this load is still wanted. */
    public boolean isCurrent(int loaded) {
        return visible && loaded == number;
    }

    private void load() {
        number++;
        show(state.with(AppState.Model.LOADING, "", ""));
        engine.load(number, state.entry, state.choice);
    }

    private void show(AppState next) {
        state = next;
        screen.accept(next);
    }
}
