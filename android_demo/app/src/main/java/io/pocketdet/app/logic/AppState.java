package io.pocketdet.app.logic;

/** What the camera screen shows, but for boxes and times. Immutable. */
public final class AppState {
    /** How the camera is. */
    public enum Camera { OFF, NO_PERMISSION, REFUSED, NONE, FAILED, STARTING, ON }

    /** How the detector is. */
    public enum Model { SEARCHING, NO_BUNDLES, SKIPPED, LOADING, FAILED, SELF_TEST_FAILED, READY }

    public final Camera camera;

    /** What the system said of a camera that failed, else empty. */
    public final String cameraDetail;

    public final Model model;

    /** The sentence that says why the model failed, else empty. */
    public final String modelDetail;

    /** The bundle that is loaded or being loaded; null before one is chosen. */
    public final BundleEntry entry;

    /** The bundle that was not loaded because its last load did not return; null if there is none. */
    public final BundleEntry skipped;

    public final Choice choice;

    /** How the model is stored and computed on this processor, once it is known, else empty. */
    public final String precision;

    private AppState(Camera camera, String cameraDetail, Model model, String modelDetail, BundleEntry entry,
            BundleEntry skipped, Choice choice, String precision) {
        this.camera = camera;
        this.cameraDetail = cameraDetail;
        this.model = model;
        this.modelDetail = modelDetail;
        this.entry = entry;
        this.skipped = skipped;
        this.choice = choice;
        this.precision = precision;
    }

    public static AppState initial(Choice choice) {
        return new AppState(Camera.OFF, "", Model.SEARCHING, "", null, null, choice, "");
    }

    AppState with(Camera other, String detail) {
        return new AppState(other, detail, model, modelDetail, entry, skipped, choice, precision);
    }

    AppState with(Model other, String detail, String used) {
        return new AppState(camera, cameraDetail, other, detail, entry, skipped, choice, used);
    }

    AppState with(BundleEntry other, BundleEntry left, Choice chosen) {
        return new AppState(camera, cameraDetail, model, modelDetail, other, left, chosen, precision);
    }

    /** Whether something keeps boxes from being shown that the user must know of. */
    public boolean isAlarming() {
        boolean cameraFails = camera == Camera.NO_PERMISSION || camera == Camera.REFUSED || camera == Camera.NONE
                || camera == Camera.FAILED;
        return cameraFails || model == Model.NO_BUNDLES || model == Model.SKIPPED || model == Model.FAILED
                || model == Model.SELF_TEST_FAILED;
    }
}
