package io.pocketdet;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.Test;

/** Everything that goes wrong is an exception of its kind, with a sentence that says what to do. */
public class ErrorsTest {
    @Test
    public void damagedBundlesAreRefusedByName() {
        List<String[]> cases = Fixtures.table("damaged.tsv");
        for (String[] one : cases) {
            PocketDetException error = assertThrows(one[0], PocketDetException.class,
                    () -> Detector.open(new File(one[0]), DetectorOptions.defaults()).close());
            assertEquals(error.toString(), one[1], error.getClass().getSimpleName());
            assertTrue(error.getMessage(), error.getMessage().contains(one[2]));
            assertTrue(error.getMessage(), error.getMessage().contains(one[0]));
            assertTrue(error.getMessage(), !error.getMessage().contains("\n"));
            System.out.println("[error] " + one[1] + ": " + error.getMessage().replace(one[0], "BUNDLE"));
        }
        assertTrue(cases.size() >= 10);
    }

    @Test
    public void optionsOutOfRangeAreRefused() {
        refused("precision=fp15: expected one of fp32, fp16-storage", DetectorOptions.builder().precision("fp15"));
        refused("precision=", DetectorOptions.builder().precision(""));
        int tooMany = Detector.maxThreads() + 1;
        refused("threads=" + tooMany, DetectorOptions.builder().threads(tooMany));
        refused("threads=0", DetectorOptions.builder().threads(0));
        refused("rois=0", DetectorOptions.builder().rois(0));
        refused("rois=10001", DetectorOptions.builder().rois(10001));
        refused("max_detections=-5", DetectorOptions.builder().maxDetections(-5));
        refused("score_threshold=1.5", DetectorOptions.builder().scoreThreshold(1.5f));
        refused("score_threshold=nan", DetectorOptions.builder().scoreThreshold(Float.NaN));
        refused("nms_iou=-0.1", DetectorOptions.builder().nmsIou(-0.1f));
    }

    @Test
    public void aClosedDetectorSaysSo() {
        Detector detector = Detector.open(Fixtures.bundle("tiny"), DetectorOptions.defaults());
        detector.close();
        detector.close();
        Frame frame = Fixtures.noise(9, 9, 0);
        String message = assertThrows(ClosedException.class, () -> detector.detect(frame)).getMessage();
        assertTrue(message, message.contains("is closed"));
        assertThrows(ClosedException.class, detector::selfTest);
        assertEquals("tiny", detector.info().name());
    }

    @Test
    public void anImageThatIsTooLargeIsRefusedAndTheDetectorGoesOn() {
        try (Detector detector = Detector.open(Fixtures.bundle("tiny"), DetectorOptions.defaults())) {
            String message = assertThrows(ImageException.class, () -> Fixtures.noise(65536, 1, 0)).getMessage();
            assertTrue(message, message.contains("65536 x 1"));
            Frame widest = Fixtures.noise(65535, 1, 0);
            assertEquals(65535, detector.detect(widest).width());
            assertEquals(65535, detector.detect(widest.rotate(90)).height());
        }
    }

    @Test
    public void aDigestNamesTheOneBundleThatIsOpened() throws Exception {
        File bundle = Fixtures.bundle("tiny");
        String digest;
        try (Detector detector = Detector.open(bundle, DetectorOptions.defaults())) {
            digest = detector.info().digest();
        }
        Detector.open(bundle, DetectorOptions.builder().digest(digest).build()).close();
        String zeros = new String(new char[64]).replace('\0', '0');
        for (String other : new String[] {zeros, digest.substring(1), digest + "0", "x", " "}) {
            DetectorOptions options = DetectorOptions.builder().digest(other).build();
            String message = assertThrows(BundleException.class, () -> Detector.open(bundle, options)).getMessage();
            String found = bundle + "/manifest.json: expected the bundle ";
            assertTrue(message, message.startsWith(found) && message.contains(", found " + digest));
        }
        refused("digest=: expected 64 hexadecimal digits", DetectorOptions.builder().digest(""));
        File edited = Copies.of(bundle);
        Files.write(new File(edited, "manifest.json").toPath(), new byte[] {'\n'}, StandardOpenOption.APPEND);
        DetectorOptions options = DetectorOptions.builder().digest(digest).build();
        assertThrows(BundleException.class, () -> Detector.open(edited, options));
    }

    @Test
    public void aSelfTestOfABundleThatChangedIsRefused() throws Exception {
        File copy = Copies.of(Fixtures.bundle("tiny"));
        try (Detector detector = Detector.open(copy, DetectorOptions.defaults())) {
            assertTrue(new File(copy, "manifest.json").delete());
            assertThrows(BundleException.class, detector::selfTest);
            assertEquals(9, detector.detect(Fixtures.noise(9, 9, 0)).height());
        }
    }

    @Test
    public void aPathThatIsNoAsciiComesBackWhole() {
        File odd = new File("/nowhere/Bär 盒子 𝄞.pocketdet");
        String message =
                assertThrows(BundleException.class, () -> Detector.open(odd, DetectorOptions.defaults())).getMessage();
        assertTrue(message, message.startsWith(odd.getPath() + ": no such bundle"));
    }

    @Test
    public void anUnpairedSurrogateIsReplaced() {
        File odd = new File("/nowhere/\ud834.pocketdet");
        String message =
                assertThrows(BundleException.class, () -> Detector.open(odd, DetectorOptions.defaults())).getMessage();
        assertTrue(message, message.startsWith("/nowhere/\ufffd.pocketdet: "));
    }

    @Test
    public void anAppWithoutTheLibraryGetsTheErrorEachTime() throws Exception {
        String java = System.getProperty("java.home") + "/bin/java";
        Process process = new ProcessBuilder(java, "-Djava.library.path=/nowhere", "-cp",
                System.getProperty("java.class.path"), "io.pocketdet.WithoutLibrary")
                                  .redirectErrorStream(true)
                                  .start();
        List<String> lines = new BufferedReader(new InputStreamReader(process.getInputStream()))
                                     .lines()
                                     .collect(Collectors.toList());
        assertEquals(String.join("\n", lines), 2, lines.size());
        for (String line : lines) {
            assertTrue(line, line.contains("the app has it for arm64-v8a and x86_64"));
        }
    }

    private static void refused(String words, DetectorOptions.Builder options) {
        String message = assertThrows(
                UsageException.class, () -> Detector.open(Fixtures.bundle("tiny"), options.build()).close())
                                 .getMessage();
        assertTrue(message, message.startsWith(words));
    }
}
