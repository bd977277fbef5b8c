package io.pocketdet;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import org.junit.Test;

/** What a detector reports and how options change it. */
public class DetectorTest {
    @Test
    public void infoSaysWhatTheBundleIs() {
        try (Detector detector = Detector.open(Fixtures.bundle("other"), DetectorOptions.defaults())) {
            BundleInfo info = detector.info();
            assertEquals("other", info.name());
            assertEquals("thundernet-snet49", info.architecture());
            assertEquals("two-stage", info.kind());
            assertEquals(Arrays.asList("Bär", "盒子", "𝄞 clef"), info.classNames());
            assertEquals(160, info.inputWidth());
            assertEquals(96, info.inputHeight());
            assertEquals("fp32", info.storage());
            assertEquals("fp32", info.arithmeticRequested());
            assertEquals("fp32", info.arithmeticUsed());
            assertEquals("", info.precisionNote());
            assertEquals(64, info.digest().length());
            assertTrue(info.ncnnVersion(), info.ncnnVersion().startsWith("ncnn 1.0."));
            assertThrows(UnsupportedOperationException.class, () -> info.classNames().add("x"));
        }
    }

    @Test
    public void aPrecisionThatThisProcessorLacksIsTold() {
        DetectorOptions half = DetectorOptions.builder().precision("fp16").build();
        try (Detector detector = Detector.open(Fixtures.bundle("tiny"), half)) {
            BundleInfo info = detector.info();
            assertEquals("fp16", info.arithmeticRequested());
            boolean same = info.arithmeticUsed().equals("fp16");
            assertEquals(same, info.precisionNote().isEmpty());
            assertTrue(info.precisionNote(), same || info.precisionNote().contains("asimdhp"));
        }
    }

    @Test
    public void stagesAndTimesAreThoseOfTheKind() {
        try (Detector detector = Detector.open(Fixtures.bundle("shipped"), DetectorOptions.defaults())) {
            StageTimes times = detector.detect(Fixtures.images().get(0).rotate(90)).times();
            String[] stages = {"convert", "preprocess", "features", "proposals", "roi_align", "head", "boxes"};
            assertArrayEquals(stages, times.stages());
            double[] each = times.milliseconds();
            for (double one : each) {
                assertTrue(one > 0);
            }
            assertEquals(each[0] + each[1], times.pre(), 1e-9);
            assertEquals(each[2] + each[5], times.infer(), 1e-9);
            assertEquals(each[3] + each[4] + each[6], times.post(), 1e-9);
            assertEquals(Arrays.stream(each).sum(), times.total(), 1e-9);
        }
    }

    @Test
    public void aOneStageDetectorHasStagesOfItsOwn() {
        DetectorOptions defaults = DetectorOptions.defaults();
        try (Detector detector = Detector.open(Fixtures.bundle("tiny-one-stage"), defaults)) {
            assertEquals("one-stage", detector.info().kind());
            Detections found = detector.detect(Fixtures.noise(40, 30, 0));
            assertEquals(0, found.rois());
            StageTimes times = found.times();
            assertArrayEquals(new String[] {"convert", "preprocess", "model", "boxes"}, times.stages());
            assertEquals(times.milliseconds()[2], times.infer(), 1e-9);
            assertEquals(times.milliseconds()[3], times.post(), 1e-9);
        }
        DetectorOptions rois = DetectorOptions.builder().rois(5).build();
        assertThrows(UsageException.class, () -> Detector.open(Fixtures.bundle("tiny-one-stage"), rois).close());
    }

    @Test
    public void aBundleOfSeveralInputSizesRunsAtOne() {
        for (String size : new String[] {null, "64"}) {
            DetectorOptions options = DetectorOptions.builder().inputSize(size).build();
            try (Detector detector = Detector.open(Fixtures.bundle("tiny-sizes"), options)) {
                assertEquals(Arrays.asList("32x32", "64x64"), detector.info().inputSizes());
                assertEquals(size == null ? 32 : 64, detector.info().inputHeight());
            }
            String document = Bench.verify(Fixtures.bundle("tiny-sizes"), options);
            assertTrue(document, document.contains("\"ok\":true"));
            assertEquals(size == null, document.contains(" at 64x64"));
        }
        for (String size : new String[] {"48x64", "64x", ""}) {
            DetectorOptions wrong = DetectorOptions.builder().inputSize(size).build();
            UsageException error = assertThrows(
                    UsageException.class, () -> Detector.open(Fixtures.bundle("tiny-sizes"), wrong).close());
            assertTrue(error.getMessage(), error.getMessage().contains("input size "));
        }
        try (Detector detector = Detector.open(Fixtures.bundle("tiny"), DetectorOptions.defaults())) {
            assertEquals(Arrays.asList("32x32"), detector.info().inputSizes());
        }
    }

    @Test
    public void optionsReachTheCore() {
        Frame image = Fixtures.images().get(0);
        Detections all = detect("shipped", DetectorOptions.builder(), image);
        Detections few = detect("shipped", DetectorOptions.builder().maxDetections(2), image);
        Detections sure = detect("shipped", DetectorOptions.builder().scoreThreshold(0.5f), image);
        assertEquals(2, few.size());
        assertEquals(all.score(0), few.score(0), 0);
        assertTrue(sure.size() > 0 && sure.size() < all.size());
        assertTrue(sure.score(sure.size() - 1) > 0.5f);
        Detections ofOne = detect("shipped", DetectorOptions.builder().rois(1), image);
        assertEquals(1, ofOne.rois());
        assertTrue(ofOne.size() < all.size() && all.rois() > 1);
        Detections alone = detect("tiny", DetectorOptions.builder().nmsIou(0f), image);
        assertTrue(alone.size() < detect("tiny", DetectorOptions.builder().nmsIou(1f), image).size());
    }

    @Test
    public void aTurnedFrameIsDetectedAsTheTurnedImage() {
        Frame image = Fixtures.images().get(0);
        try (Detector detector = Detector.open(Fixtures.bundle("shipped"), DetectorOptions.defaults())) {
            for (int degrees = 0; degrees < 360; degrees += 90) {
                Frame frame = image.rotate(degrees).crop(3, 5, 200, 230);
                byte[] rgb = frame.rgb();
                byte[] rgba = new byte[rgb.length / 3 * 4];
                for (int i = 0; i < rgb.length; i++) {
                    rgba[i / 3 * 4 + i % 3] = rgb[i];
                }
                Frame copied = Frame.rgba(Fixtures.direct(rgba), 197, 225, 4 * 197);
                assertSame(detector.detect(copied), detector.detect(frame));
            }
        }
    }

    @Test
    public void coresAreGivenBack() {
        DetectorOptions big = DetectorOptions.builder().bigCores(true).build();
        try (Detector detector = Detector.open(Fixtures.bundle("tiny"), big)) {
            detector.detect(Fixtures.noise(40, 30, 0));
            String before = Memory.status("Cpus_allowed_list");
            detector.detect(Fixtures.noise(40, 30, 0));
            assertEquals(before, Memory.status("Cpus_allowed_list"));
        }
        Detections without = detect("tiny", DetectorOptions.builder(), Fixtures.noise(40, 30, 0));
        assertFalse(without.pinned());
    }

    @Test
    public void anIndexOutOfRangeIsRefused() {
        Detections few = detect("shipped", DetectorOptions.builder().maxDetections(2), Fixtures.images().get(0));
        assertThrows(IndexOutOfBoundsException.class, () -> few.score(2));
        assertThrows(IndexOutOfBoundsException.class, () -> few.x1(-1));
    }

    static void assertSame(Detections expected, Detections found) {
        assertEquals(expected.size(), found.size());
        assertEquals(expected.width(), found.width());
        for (int i = 0; i < found.size(); i++) {
            assertEquals(expected.x1(i), found.x1(i), 0);
            assertEquals(expected.y1(i), found.y1(i), 0);
            assertEquals(expected.x2(i), found.x2(i), 0);
            assertEquals(expected.y2(i), found.y2(i), 0);
            assertEquals(expected.score(i), found.score(i), 0);
            assertEquals(expected.label(i), found.label(i));
        }
    }

    private static Detections detect(String bundle, DetectorOptions.Builder options, Frame image) {
        try (Detector detector = Detector.open(Fixtures.bundle(bundle), options.build())) {
            return detector.detect(image);
        }
    }
}
