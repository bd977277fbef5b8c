package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class ControllerTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();
    private final List<String> calls = new ArrayList<>();
    private BundleCatalog catalog;
    private Controller controller;

    @Before
    public void make() throws IOException {
        for (String name : new String[] {"a", "b"}) {
            TemporaryFiles.write(
                    new File(folder.getRoot(), name), "manifest.json", TemporaryFiles.manifest(name, "fp16", "fp16"));
        }
        catalog = BundleCatalog.scan(folder.getRoot(), null, Collections.emptySet());
        Controller.CameraPort camera = new Controller.CameraPort() {
            @Override
            public void start() {
                calls.add("camera");
            }

            @Override
            public void stop() {
                calls.add("camera off");
            }
        };
        Controller.EnginePort engine = new Controller.EnginePort() {
            @Override
            public void load(int number, BundleEntry entry, Choice choice) {
                calls.add("load " + number + " " + entry.name + " " + choice.precision);
            }

            @Override
            public void stop() {
                calls.add("engine off");
            }
        };
        controller = new Controller(camera, engine, state -> {}, new Choice("", 1, false));
    }

    private void expect(AppState.Camera camera, AppState.Model model, boolean alarming) {
        assertEquals(camera, controller.state().camera);
        assertEquals(model, controller.state().model);
        assertEquals(alarming, controller.state().isAlarming());
    }

    @Test
    public void fromStartToBoxesAndBack() {
        controller.onForeground(true);
        expect(AppState.Camera.STARTING, AppState.Model.SEARCHING, false);
        controller.onBundles(catalog, "b");
        controller.onCameraOn();
        expect(AppState.Camera.ON, AppState.Model.LOADING, false);
        controller.onModelReady(1, "fp16 / fp32");
        expect(AppState.Camera.ON, AppState.Model.READY, false);
        assertEquals("fp16 / fp32", controller.state().precision);
        assertTrue(controller.isCurrent(1));
        controller.onBackground();
        expect(AppState.Camera.OFF, AppState.Model.READY, false);
        assertFalse(controller.isCurrent(1));
        controller.onForeground(true);
        assertEquals("[camera, load 1 b , camera off, engine off, load 3 b , camera]", calls.toString());
        controller.onModelReady(1, "late");
        expect(AppState.Camera.STARTING, AppState.Model.LOADING, false);
        controller.onModelReady(3, "fp32");
        expect(AppState.Camera.STARTING, AppState.Model.READY, false);
    }

    @Test
    public void anAnswerForAnotherModelIsDropped() {
        controller.onForeground(true);
        controller.onBundles(catalog, null);
        controller.choose(catalog.find("b"), new Choice("fp32", 1, false));
        assertEquals("load 2 b fp32", calls.get(2));
        controller.onModelFailed(1, "the bundle is damaged");
        controller.onSelfTestFailed(1, "fp16", "differs");
        expect(AppState.Camera.STARTING, AppState.Model.LOADING, false);
        controller.onSelfTestFailed(2, "fp16", "stage 'boxes' differs");
        expect(AppState.Camera.STARTING, AppState.Model.SELF_TEST_FAILED, true);
        assertEquals("stage 'boxes' differs", controller.state().modelDetail);
        controller.choose(catalog.find("a"), controller.state().choice);
        controller.onModelFailed(3, "gone");
        expect(AppState.Camera.STARTING, AppState.Model.FAILED, true);
        assertEquals("gone", controller.state().modelDetail);
    }

    @Test
    public void permissionIsAskedForUntilTheSystemAsksNoMore() {
        controller.onForeground(false);
        expect(AppState.Camera.NO_PERMISSION, AppState.Model.SEARCHING, true);
        controller.onPermissionAnswer(false, false, true); // the first denial
        expect(AppState.Camera.NO_PERMISSION, AppState.Model.SEARCHING, true);
        controller.onPermissionAnswer(false, true, false); // the second, which is final
        expect(AppState.Camera.NO_PERMISSION, AppState.Model.SEARCHING, true);
        controller.onPermissionAnswer(false, false, false); // no question was put
        expect(AppState.Camera.REFUSED, AppState.Model.SEARCHING, true);
        controller.restartCamera();
        assertTrue(calls.isEmpty());
        controller.onPermissionAnswer(true, false, false);
        expect(AppState.Camera.STARTING, AppState.Model.SEARCHING, false);
        assertEquals("[camera]", calls.toString());
    }

    @Test
    public void aQuestionThatWasClosedAndAGrantThatLapsedAreNotFinal() {
        controller.onForeground(false);
        controller.onPermissionAnswer(false, false, false);
        expect(AppState.Camera.REFUSED, AppState.Model.SEARCHING, true);
        controller.onBackground();
        controller.onForeground(false);
        expect(AppState.Camera.NO_PERMISSION, AppState.Model.SEARCHING, true);
        controller.onPermissionAnswer(true, false, false); // only this time
        controller.onBackground();
        controller.onForeground(false);
        expect(AppState.Camera.NO_PERMISSION, AppState.Model.SEARCHING, true);
    }

    @Test
    public void permissionGivenWhileAwayStartsNothing() {
        controller.onForeground(false);
        controller.onBackground();
        controller.onPermissionAnswer(true, false, false);
        controller.onCameraOn();
        controller.onCameraFailed("late", true);
        controller.onCameraAvailable();
        expect(AppState.Camera.OFF, AppState.Model.SEARCHING, false);
        assertEquals("[camera off, engine off]", calls.toString());
    }

    @Test
    public void aCameraThatFailsIsTriedAgain() {
        controller.onForeground(true);
        controller.onCameraFailed("in use by another app", true);
        expect(AppState.Camera.FAILED, AppState.Model.SEARCHING, true);
        assertEquals("in use by another app", controller.state().cameraDetail);
        controller.restartCamera();
        expect(AppState.Camera.STARTING, AppState.Model.SEARCHING, false);
        assertEquals("[camera, camera off, camera]", calls.toString());
        controller.onNoCamera();
        expect(AppState.Camera.NONE, AppState.Model.SEARCHING, true);
    }

    @Test
    public void aCameraThatAnotherAppHadIsOpenedAgainWhenItIsFree() {
        controller.onForeground(true);
        controller.onCameraAvailable();
        controller.onCameraOn();
        controller.onCameraAvailable();
        assertEquals("[camera]", calls.toString());
        controller.onCameraFailed("broken", false);
        controller.onCameraAvailable();
        assertEquals("[camera]", calls.toString());
        controller.onCameraFailed("taken away", true);
        controller.onCameraAvailable();
        expect(AppState.Camera.STARTING, AppState.Model.SEARCHING, false);
        assertEquals("[camera, camera off, camera]", calls.toString());
    }

    @Test
    public void noBundlesAndAChoiceWhileAway() throws IOException {
        controller.onBundles(BundleCatalog.scan(null, null, Collections.emptySet()), "a");
        expect(AppState.Camera.OFF, AppState.Model.NO_BUNDLES, true);
        controller.choose(catalog.find("a"), controller.state().choice);
        assertTrue(calls.isEmpty());
        controller.onForeground(true);
        assertEquals("[load 1 a , camera]", calls.toString());
    }

    private BundleCatalog unreturned(String... names) {
        HashSet<String> digests = new HashSet<>();
        for (String name : names) {
            digests.add(catalog.find(name).digest);
        }
        return BundleCatalog.scan(folder.getRoot(), null, digests);
    }

    @Test
    public void anotherBundleRunsInPlaceOfOneThatEndedTheApp() {
        controller.onForeground(true);
        controller.onBundles(unreturned("b"), "b");
        assertEquals("[camera, load 1 a ]", calls.toString());
        assertEquals("b", controller.state().skipped.name);
        controller.onModelReady(1, "fp16");
        controller.onCameraOn();
        expect(AppState.Camera.ON, AppState.Model.READY, false);
        controller.onBackground();
        controller.onForeground(true);
        assertEquals("b", controller.state().skipped.name); // said until the user decides
        controller.choose(controller.state().skipped, controller.state().choice);
        assertEquals("load 4 b ", calls.get(calls.size() - 1));
        assertNull(controller.state().skipped);
    }

    @Test
    public void nothingIsLoadedIfEveryBundleEndedTheApp() {
        controller.onForeground(true);
        controller.onBundles(unreturned("a", "b"), "b");
        controller.onCameraOn();
        expect(AppState.Camera.ON, AppState.Model.SKIPPED, true);
        controller.onBackground();
        controller.onForeground(true);
        assertFalse(calls.toString(), calls.toString().contains("load"));
        controller.choose(controller.state().skipped, controller.state().choice);
        assertEquals("b", controller.state().entry.name);
        expect(AppState.Camera.STARTING, AppState.Model.LOADING, false);
    }

    @Test
    public void settingsOfAnotherVersion() {
        Choice choice = new Choice("fp64", 99, true);
        assertEquals("", choice.precision);
        assertEquals(1, choice.threads);
        assertTrue(choice.bigCores);
        assertTrue(choice.isSame(new Choice("", 1, true)));
        assertFalse(choice.isSame(new Choice("", 1, false)));
        assertFalse(choice.isSame(new Choice("fp16", 1, true)));
    }
}
