package io.pocketdet.app;

import android.Manifest;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.content.res.Configuration;
import android.hardware.camera2.CameraManager;
import android.hardware.display.DisplayManager;
import android.net.Uri;
import android.os.Bundle;
import android.view.GestureDetector;
import android.view.Menu;
import android.view.MenuItem;
import android.view.MotionEvent;
import android.view.ScaleGestureDetector;
import android.view.TextureView;
import android.view.View;
import android.view.WindowManager;
import android.widget.Toast;
import io.pocketdet.BundleInfo;
import io.pocketdet.SelfTest;
import io.pocketdet.StageTimes;
import io.pocketdet.app.logic.AppState;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.Choice;
import io.pocketdet.app.logic.Controller;
import io.pocketdet.app.logic.FrameStats;
import io.pocketdet.app.logic.Pace;
import io.pocketdet.app.logic.RateMeter;
import io.pocketdet.app.logic.StatusText;
import io.pocketdet.app.logic.ThermalState;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;

/** The camera with boxes over it. Shows the controller's state and tells it what happens; decides nothing itself. */
public final class MainActivity extends WorkingActivity implements Engine.Listener, DisplayManager.DisplayListener {
    private static final int PERMISSION_REQUEST = 1;
    private static final int ADD_REQUEST = 2;
    private static final long STATUS_NS = 250_000_000;
    private static final long THERMAL_NS = 2_000_000_000;

    private final FrameStats stats = new FrameStats();
    private final RateMeter cameraRate = new RateMeter();
    private final Pace statusPace = new Pace(STATUS_NS);
    private final Pace thermalPace = new Pace(THERMAL_NS);
    private Settings settings;
    private Bundles bundles;
    private CameraOwner camera;
    private Engine engine;
    private Controller controller;
    private OverlayView overlay;
    private Panels panels;
    private Thermal thermal;
    private ThermalState warmth;
    private boolean explainedBefore = true; // unknown if the process ended since: then no denial is final
    private boolean freezing;
    private boolean frozen;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.screen);
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        settings = new Settings(this);
        panels = new Panels(this);
        thermal = new Thermal(this);
        bundles = new Bundles(this);
        overlay = findViewById(R.id.overlay);
        overlay.setLeastScore(settings.leastScore());
        TextureView preview = findViewById(R.id.preview);
        preview.setVisibility(View.VISIBLE);
        camera = new CameraOwner(getSystemService(CameraManager.class), preview, getWindowManager().getDefaultDisplay(),
                main, this::onFrame);
        camera.setFacingUser(settings.facesUser());
        engine = new Engine(getApplicationContext(), main, bundles.marks(), this);
        controller = new Controller(camera, engine, this::show, settings.choice());
        camera.setController(controller);
        overlay.addOnLayoutChangeListener((view, l, t, r, b, ol, ot, or, ob) -> camera.onGeometry());
        overlay.setOnTouchListener(gestures());
        getSystemService(DisplayManager.class).registerDisplayListener(this, main);
        search(catalog -> controller.onBundles(catalog, settings.bundle()));
    }

    @Override
    protected void onStart() {
        super.onStart();
        controller.onForeground(isPermitted());
    }

    @Override
    protected void onStop() {
        controller.onBackground();
        super.onStop();
    }

    @Override
    protected void onDestroy() {
        getSystemService(DisplayManager.class).unregisterDisplayListener(this);
        camera.release();
        super.onDestroy();
    }

    @Override
    void showFailure(String sentence) {
        Dialogs.failure(this, sentence);
    }

    /** Two fingers zoom, a tap focuses. */
    private View.OnTouchListener gestures() {
        ScaleGestureDetector scale =
                new ScaleGestureDetector(this, new ScaleGestureDetector.SimpleOnScaleGestureListener() {
                    @Override
                    public boolean onScale(ScaleGestureDetector fingers) {
                        camera.zoomBy(fingers.getScaleFactor());
                        return true;
                    }
                });
        GestureDetector tap = new GestureDetector(this, new GestureDetector.SimpleOnGestureListener() {
            @Override
            public boolean onSingleTapUp(MotionEvent finger) {
                camera.focusAt(finger.getX(), finger.getY());
                return true;
            }
        });
        return (view, event) -> {
            scale.onTouchEvent(event);
            tap.onTouchEvent(event);
            return true;
        };
    }

    private boolean isPermitted() {
        return checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED;
    }

    private void askForCamera() {
        explainedBefore = shouldShowRequestPermissionRationale(Manifest.permission.CAMERA);
        requestPermissions(new String[] {Manifest.permission.CAMERA}, PERMISSION_REQUEST);
    }

    @Override
    public void onRequestPermissionsResult(int request, String[] names, int[] granted) {
        if (names.length > 0) { // none: the question was interrupted and will be put again
            controller.onPermissionAnswer(
                    isPermitted(), explainedBefore, shouldShowRequestPermissionRationale(Manifest.permission.CAMERA));
        }
    }

    private void search(Consumer<BundleCatalog> found) {
        work(bundles::scan, found);
    }

    private void chooseModel() {
        search(catalog
                -> Dialogs.models(this, catalog, controller.state().entry,
                        entry -> choose(entry, controller.state().choice), this::chooseDocument));
    }

    private void chooseDocument() {
        Intent open = new Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*");
        try {
            startActivityForResult(open, ADD_REQUEST);
        } catch (ActivityNotFoundException error) {
            Dialogs.failure(this, getString(R.string.picker_no_chooser));
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        if (request == ADD_REQUEST && result == RESULT_OK && data != null && data.getData() != null) {
            Toast.makeText(this, R.string.picker_adding, Toast.LENGTH_LONG).show();
            Uri document = data.getData();
            work(() -> {
                String id = bundles.add(document);
                return Objects.requireNonNull(bundles.scan().find(id), id);
            }, added -> choose(added, controller.state().choice));
        }
    }

    private void choose(BundleEntry entry, Choice choice) {
        settings.remember(entry, choice);
        controller.choose(entry, choice);
    }

    private void show(AppState state) {
        statusPace.reset();
        boolean runs = state.model == AppState.Model.READY && state.camera == AppState.Camera.ON;
        if (!runs) {
            stats.clear();
        }
        if (state.isAlarming()) {
            freeze(false);
        }
        if (!runs && !frozen) {
            overlay.setResult(null);
        }
        String[] alarm = state.isAlarming() ? Texts.alarm(this, state, bundles.pushed()) : new String[2];
        panels.setAlarm(alarm[0], alarm[1]);
        panels.setNotice(Texts.notice(this, state));
        panels.setAction(Texts.action(state), () -> act(Texts.action(controller.state())));
        String waiting = Texts.waiting(this, state);
        panels.setStatus(waiting == null ? Collections.emptyList() : Collections.singletonList(waiting));
    }

    @Override
    public void onResult(int number, Result result) {
        AppState state = controller.state();
        if (!controller.isCurrent(number) || state.model != AppState.Model.READY || frozen) {
            return;
        }
        StageTimes times = result.found.times();
        stats.add(times.total());
        overlay.setResult(result);
        if (freezing && result.rgb != null) {
            overlay.setImage(ImageLoader.bitmap(result.rgb, result.found.width(), result.found.height()));
            frozen = true;
            engine.keepImages(false);
            invalidateOptionsMenu();
        }
        long now = System.nanoTime();
        if (statusPace.isDue(now)) {
            if (thermalPace.isDue(now)) {
                warmth = thermal.read();
            }
            int cores = !state.choice.bigCores ? 0
                    : result.found.pinned()    ? R.string.cores_big
                                               : R.string.cores_refused;
            List<String> lines =
                    StatusText.lines(Texts.status(this), state.entry.name, state.precision, state.choice.threads,
                            cores == 0 ? "" : getString(cores), new double[] {times.pre(), times.infer(), times.post()},
                            Texts.rois(this, result.found), stats, cameraRate.perSecond(now));
            if (warmth.isKnown()) {
                lines.add(Texts.warmth(this, warmth));
            }
            panels.setStatus(lines);
        }
    }

    /** Holds the next frame that is detected on, with its boxes, or goes on. */
    private void freeze(boolean hold) {
        freezing = hold;
        engine.keepImages(hold);
        if (!hold && frozen) {
            frozen = false;
            overlay.setImage(null);
            overlay.setResult(null);
        }
        invalidateOptionsMenu();
    }

    @Override
    public void onTested(int number, BundleInfo info, SelfTest test) {
        if (test.ok()) {
            controller.onModelReady(number, Texts.precision(this, info));
        } else {
            controller.onSelfTestFailed(number, Texts.precision(this, info), Texts.verdict(this, test));
        }
    }

    @Override
    public void onFailed(int number, Throwable error) {
        controller.onModelFailed(number, Texts.sentence(this, error));
    }

    /** On the camera's thread. */
    private void onFrame(CameraSession.CameraImage frame) {
        cameraRate.tick(System.nanoTime());
        engine.offer(frame);
    }

    @Override
    public void onConfigurationChanged(Configuration next) {
        super.onConfigurationChanged(next);
        camera.onGeometry();
    }

    @Override
    public void onDisplayChanged(int display) {
        camera.onGeometry();
    }

    @Override
    public void onDisplayAdded(int display) {
    }

    @Override
    public void onDisplayRemoved(int display) {
    }

    @Override
    public boolean onCreateOptionsMenu(Menu menu) {
        getMenuInflater().inflate(R.menu.main, menu);
        return true;
    }

    @Override
    public boolean onPrepareOptionsMenu(Menu menu) {
        menu.findItem(R.id.menu_freeze).setTitle(frozen ? R.string.menu_resume : R.string.menu_freeze);
        menu.findItem(R.id.menu_share).setVisible(frozen);
        return true;
    }

    @Override
    public boolean onOptionsItemSelected(MenuItem item) {
        int id = item.getItemId();
        if (id == R.id.menu_model) {
            chooseModel();
        } else if (id == R.id.menu_options) {
            Dialogs.options(
                    this, controller.state().choice, settings.leastScore(), this::changeScore, this::changeOptions);
        } else if (id == R.id.menu_media) {
            startActivity(new Intent(this, MediaActivity.class));
        } else if (id == R.id.menu_bench) {
            startActivity(new Intent(this, BenchmarkActivity.class));
        } else if (id == R.id.menu_selftest) {
            startActivity(new Intent(this, SelfTestActivity.class));
        } else if (id == R.id.menu_switch) {
            switchCamera();
        } else if (id == R.id.menu_freeze) {
            freeze(!frozen);
        } else if (id == R.id.menu_share) {
            shareImage(overlay);
        } else if (id == R.id.menu_torch) {
            camera.switchTorch();
        } else {
            return super.onOptionsItemSelected(item);
        }
        return true;
    }

    private void changeScore(float score) {
        settings.setLeastScore(score);
        overlay.setLeastScore(score);
    }

    private void changeOptions(Choice choice) {
        AppState state = controller.state();
        if (state.entry != null && !choice.isSame(state.choice)) {
            choose(state.entry, choice);
        }
    }

    private void switchCamera() {
        freeze(false);
        settings.setFacesUser(!settings.facesUser());
        camera.setFacingUser(settings.facesUser());
        controller.restartCamera();
    }

    private void act(int label) {
        if (label == R.string.action_allow) {
            askForCamera();
        } else if (label == R.string.action_settings) {
            Uri us = Uri.fromParts("package", getPackageName(), null);
            startActivity(new Intent(android.provider.Settings.ACTION_APPLICATION_DETAILS_SETTINGS, us));
        } else if (label == R.string.action_retry) {
            controller.restartCamera();
        } else if (label == R.string.menu_media) {
            startActivity(new Intent(this, MediaActivity.class));
        } else if (label == R.string.action_skipped) {
            choose(controller.state().skipped, controller.state().choice);
        } else if (label == R.string.action_selftest) {
            startActivity(new Intent(this, SelfTestActivity.class));
        } else {
            chooseModel();
        }
    }
}
