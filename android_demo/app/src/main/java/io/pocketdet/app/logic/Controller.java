package io.pocketdet.app.logic;

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

    public interface Screen {
        void show(AppState state);
    }

    private final CameraPort camera;
    private final EnginePort engine;
    private final Screen screen;
    private AppState state;
    private boolean visible;
    private int number;

    public Controller(CameraPort camera, EnginePort engine, Screen screen, Choice choice) {
        this.camera = camera;
        this.engine = engine;
        this.screen = screen;
        state = AppState.initial(choice);
    }

    public AppState state() {
        return state;
    }

    /** The app is in front. `mayAsk` is false once the user has refused for good. */
    public void onForeground(boolean permitted, boolean mayAsk) {
        visible = true;
        if (state.entry != null) {
            load();
        }
        onPermission(permitted, mayAsk);
    }

    /** The app is no longer seen: the camera is for others, the processor too. */
    public void onBackground() {
        visible = false;
        number++;
        camera.stop();
        engine.stop();
        show(state.with(AppState.Camera.OFF, ""));
    }

    public void onPermission(boolean permitted, boolean mayAsk) {
        if (permitted && visible) {
            show(state.with(AppState.Camera.STARTING, ""));
            camera.start();
        } else if (!permitted) {
            show(state.with(mayAsk ? AppState.Camera.NO_PERMISSION : AppState.Camera.REFUSED_FOR_GOOD, ""));
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

    /** It is in use elsewhere, disabled or broken; `detail` is what the system says. */
    public void onCameraFailed(String detail) {
        if (visible) {
            show(state.with(AppState.Camera.FAILED, detail));
        }
    }

    /** Open the camera anew: after it failed, or because another one is wanted. */
    public void restartCamera() {
        boolean permitted = state.camera != AppState.Camera.NO_PERMISSION;
        if (visible && permitted && state.camera != AppState.Camera.REFUSED_FOR_GOOD) {
            camera.stop();
            onPermission(true, true);
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
        screen.show(next);
    }
}
