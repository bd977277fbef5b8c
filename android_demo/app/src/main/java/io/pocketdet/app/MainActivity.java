package io.pocketdet.app;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.content.res.Configuration;
import android.hardware.camera2.CameraManager;
import android.hardware.display.DisplayManager;
import android.net.Uri;
import android.os.Bundle;
import android.os.Handler;
import android.os.Looper;
import android.view.Menu;
import android.view.MenuItem;
import android.view.View;
import android.view.WindowManager;
import android.widget.Button;
import android.widget.Toast;
import io.pocketdet.BundleInfo;
import io.pocketdet.SelfTest;
import io.pocketdet.app.logic.AppState;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.Choice;
import io.pocketdet.app.logic.Controller;
import io.pocketdet.app.logic.FrameStats;
import io.pocketdet.app.logic.Pace;
import io.pocketdet.app.logic.RateMeter;
import io.pocketdet.app.logic.StatusText;
import java.io.IOException;
import java.util.Collections;
import java.util.Objects;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;

/** The camera with boxes over it. Shows the controller's state and tells it what happens; decides nothing itself. */
public final class MainActivity extends Activity
        implements Controller.Screen, CameraOwner.Listener, Engine.Listener, DisplayManager.DisplayListener {
    private static final int ADD_REQUEST = 2; // CameraPermission has 1

    private final Handler main = new Handler(Looper.getMainLooper());
    private final ExecutorService background = Executors.newSingleThreadExecutor();
    private final FrameStats stats = new FrameStats();
    private final RateMeter cameraRate = new RateMeter();
    private final Pace statusPace = new Pace(250_000_000);
    private Settings settings;
    private CameraPermission permission;
    private Bundles bundles;
    private CameraOwner camera;
    private Engine engine;
    private Controller controller;
    private OverlayView overlay;
    private Button action;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.main);
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        overlay = findViewById(R.id.overlay);
        action = findViewById(R.id.action);
        action.setOnClickListener(view -> act());
        settings = new Settings(this);
        overlay.setLeastScore(settings.leastScore());
        permission = new CameraPermission(this);
        bundles = new Bundles(this);
        camera = new CameraOwner(getSystemService(CameraManager.class), findViewById(R.id.preview),
                getWindowManager().getDefaultDisplay(), main, this);
        camera.setFacingUser(settings.facesUser());
        engine = new Engine(main, bundles.marks(), this);
        controller = new Controller(camera, engine, this, settings.choice());
        overlay.addOnLayoutChangeListener((view, l, t, r, b, ol, ot, or, ob) -> camera.onGeometry());
        getSystemService(DisplayManager.class).registerDisplayListener(this, main);
        search(catalog -> controller.onBundles(catalog, settings.bundle()));
    }

    @Override
    protected void onStart() {
        super.onStart();
        controller.onForeground(permission.isGranted());
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
        background.shutdown();
        super.onDestroy();
    }

    @Override
    public void onRequestPermissionsResult(int request, String[] names, int[] granted) {
        if (names.length > 0) { // none: the question was interrupted and will be put again
            controller.onPermissionAnswer(
                    permission.isGranted(), permission.wantedRationale(), permission.wantsRationale());
        }
    }

    private interface Work {
        void run() throws IOException;
    }

    /** Off the screen's thread; what it throws is shown. */
    private void work(Work work) {
        background.execute(() -> {
            try {
                work.run();
            } catch (IOException | RuntimeException | OutOfMemoryError error) {
                onScreen(() -> Dialogs.failure(this, Texts.sentence(this, error)));
            }
        });
    }

    private void onScreen(Runnable event) {
        main.post(() -> {
            if (!isDestroyed()) {
                event.run();
            }
        });
    }

    private void search(Consumer<BundleCatalog> found) {
        work(() -> {
            BundleCatalog catalog = bundles.scan();
            onScreen(() -> found.accept(catalog));
        });
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
                BundleEntry added = Objects.requireNonNull(bundles.scan().find(id), id);
                onScreen(() -> choose(added, controller.state().choice));
            });
        }
    }

    private void choose(BundleEntry entry, Choice choice) {
        settings.remember(entry, choice);
        controller.choose(entry, choice);
    }

    @Override
    public void show(AppState state) {
        statusPace.reset();
        if (state.model != AppState.Model.READY || state.camera != AppState.Camera.ON) {
            stats.clear();
            overlay.setResult(null);
        }
        String[] alarm = state.isAlarming() ? Texts.alarm(this, state, bundles.pushed()) : null;
        overlay.setAlarm(alarm == null ? null : alarm[0], alarm == null ? null : alarm[1]);
        overlay.setNotice(Texts.notice(this, state));
        overlay.setStatus(state.model == AppState.Model.LOADING
                        ? Collections.singletonList(getString(R.string.status_loading, state.entry.name))
                        : state.model == AppState.Model.SEARCHING
                        ? Collections.singletonList(getString(R.string.status_searching))
                        : Collections.emptyList());
        int label = Texts.action(state);
        action.setVisibility(label == 0 ? View.GONE : View.VISIBLE);
        if (label != 0) {
            action.setText(label);
            action.setTag(label);
        }
    }

    @Override
    public void onResult(int number, Result result) {
        AppState state = controller.state();
        if (!controller.isCurrent(number) || state.model != AppState.Model.READY) {
            return;
        }
        stats.add(result.totalMs);
        overlay.setResult(result);
        long now = System.nanoTime();
        if (!statusPace.isDue(now)) {
            return;
        }
        int cores = !state.choice.bigCores ? 0 : result.pinned ? R.string.cores_big : R.string.cores_refused;
        overlay.setStatus(StatusText.lines(Texts.status(this), state.entry.name, state.precision, state.choice.threads,
                cores == 0 ? "" : getString(cores), result.partMs, stats, cameraRate.perSecond(now)));
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

    @Override
    public void onCameraOn() {
        controller.onCameraOn();
    }

    @Override
    public void onNoCamera() {
        controller.onNoCamera();
    }

    @Override
    public void onCameraFailed(int reason) {
        controller.onCameraFailed(
                getString(reason), reason == R.string.camera_in_use || reason == R.string.camera_lost);
    }

    @Override
    public void onCameraAvailable() {
        controller.onCameraAvailable();
    }

    @Override
    public void onFrame(CameraFrame frame) {
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
    public boolean onOptionsItemSelected(MenuItem item) {
        int id = item.getItemId();
        if (id == R.id.menu_model) {
            chooseModel();
        } else if (id == R.id.menu_options) {
            Dialogs.options(
                    this, controller.state().choice, settings.leastScore(), this::changeScore, this::changeOptions);
        } else if (id == R.id.menu_still) {
            startActivity(new Intent(this, StillActivity.class));
        } else if (id == R.id.menu_bench) {
            startActivity(new Intent(this, BenchActivity.class));
        } else if (id == R.id.menu_selftest) {
            startActivity(new Intent(this, SelfTestActivity.class));
        } else if (id == R.id.menu_switch) {
            switchCamera();
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
        settings.setFacesUser(!settings.facesUser());
        camera.setFacingUser(settings.facesUser());
        controller.restartCamera();
    }

    private void act() {
        int label = (Integer) action.getTag();
        if (label == R.string.action_allow) {
            permission.ask();
        } else if (label == R.string.action_settings) {
            Uri us = Uri.fromParts("package", getPackageName(), null);
            startActivity(new Intent(android.provider.Settings.ACTION_APPLICATION_DETAILS_SETTINGS, us));
        } else if (label == R.string.action_retry) {
            controller.restartCamera();
        } else if (label == R.string.menu_still) {
            startActivity(new Intent(this, StillActivity.class));
        } else if (label == R.string.action_skipped) {
            choose(controller.state().skipped, controller.state().choice);
        } else if (label == R.string.action_selftest) {
            startActivity(new Intent(this, SelfTestActivity.class));
        } else {
            chooseModel();
        }
    }
}
