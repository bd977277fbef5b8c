package io.pocketdet;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.Test;

/** Detections through JNI beside Python's, on rendered scenes, and self-tests. */
public class ParityTest {
    private static final float PIXELS = 0.1f;
    private static final float SCORE = 1e-3f;

    @Test
    public void theShippedDetectorFindsWhatPythonFinds() {
        for (int threads = 1; threads <= Detector.maxThreads(); threads++) {
            comparesWithPython("shipped", DetectorOptions.builder().threads(threads).build());
        }
    }

    @Test
    public void oneWithOtherClassesAndSizesFindsWhatPythonFinds() {
        comparesWithPython("other", DetectorOptions.defaults());
    }

    @Test
    public void aOneStageDetectorFindsWhatPythonFinds() {
        comparesWithPython("tiny-one-stage", DetectorOptions.defaults());
    }

    @Test
    public void oneWithFieldsOfEveryLayoutFindsWhatPythonFinds() {
        comparesWithPython("tiny-layouts", DetectorOptions.defaults());
    }

    @Test
    public void everyInputSizeFindsWhatPythonFinds() {
        for (int side : new int[] {32, 64}) {
            DetectorOptions options = DetectorOptions.builder().inputSize(side + "x" + side).build();
            comparesWithPython("tiny-sizes", "tiny-sizes-" + side, options);
        }
    }

    @Test
    public void selfTestsPass() {
        for (String name : new String[] {"shipped", "other", "tiny-one-stage", "tiny-layouts", "tiny-sizes"}) {
            String size = name.equals("tiny-sizes") ? "64" : null;
            DetectorOptions options = DetectorOptions.builder().inputSize(size).build();
            try (Detector detector = Detector.open(Fixtures.bundle(name), options)) {
                SelfTest test = detector.selfTest();
                assertTrue(name + ": " + test.summary(), test.ok());
                assertTrue(test.checks().size() >= 6);
                assertTrue(test.summary().contains("agree with PyTorch"));
            }
        }
    }

    private static void comparesWithPython(String name, DetectorOptions options) {
        comparesWithPython(name, name, options);
    }

    private static void comparesWithPython(String name, String table, DetectorOptions options) {
        List<Frame> images = Fixtures.images();
        List<List<String[]>> expected = new ArrayList<>();
        for (int i = 0; i < images.size(); i++) {
            expected.add(new ArrayList<>());
        }
        for (String[] line : Fixtures.table("expected/" + table + ".tsv")) {
            expected.get(Integer.parseInt(line[0])).add(line);
        }
        int compared = 0;
        float most = 0;
        try (Detector detector = Detector.open(Fixtures.bundle(name), options)) {
            for (int i = 0; i < images.size(); i++) {
                Detections found = detector.detect(images.get(i));
                assertEquals("image " + i, expected.get(i).size(), found.size());
                assertEquals(images.get(i).width(), found.width());
                most = Math.max(most, largestDifference(expected.get(i), found));
                compared += found.size();
            }
        }
        assertEquals(20, images.size());
        assertTrue("detections: " + compared, compared > 100);
        System.out.println("[parity] " + table + ": " + compared + " detections on " + images.size()
                + " images equal Python's, at most " + most + " pixels apart");
    }

    /** Every expected one has a partner of its own, name and label included; returns pixels. */
    private static float largestDifference(List<String[]> expected, Detections found) {
        boolean[] taken = new boolean[found.size()];
        float most = 0;
        for (String[] line : expected) {
            int partner = -1;
            float least = PIXELS;
            for (int i = 0; i < found.size(); i++) {
                float distance = distance(line, found, i);
                boolean same = found.name(i).equals(line[7]) && found.label(i) == Integer.parseInt(line[6])
                        && Math.abs(found.score(i) - Float.parseFloat(line[5])) <= SCORE;
                if (!taken[i] && same && distance <= least) {
                    partner = i;
                    least = distance;
                }
            }
            assertTrue("no partner for " + String.join(" ", line), partner >= 0);
            taken[partner] = true;
            most = Math.max(most, least);
        }
        return most;
    }

    private static float distance(String[] line, Detections found, int i) {
        float[] edges = {found.x1(i), found.y1(i), found.x2(i), found.y2(i)};
        float most = 0;
        for (int k = 0; k < 4; k++) {
            most = Math.max(most, Math.abs(edges[k] - Float.parseFloat(line[1 + k])));
        }
        return most;
    }
}
