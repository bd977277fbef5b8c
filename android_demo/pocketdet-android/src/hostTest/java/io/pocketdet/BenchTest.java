package io.pocketdet;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import org.junit.Test;

/** The documents go to files, which android_demo/check reads as the desktop does. */
public class BenchTest {
    private static final DetectorOptions DEFAULTS = DetectorOptions.defaults();

    @Test
    public void theDocumentsOfTheToolAreWritten() throws IOException {
        File bundle = Fixtures.bundle("shipped");
        BenchOptions few = BenchOptions.builder().frames(7).warmup(1).build();
        String before = Memory.status("Cpus_allowed_list");
        int cpu = Integer.parseInt(before.split("[,-]")[0]);
        BenchOptions pinned = BenchOptions.builder().frames(3).warmup(0).cpu(cpu).build();
        write("bench", Bench.run(bundle, DetectorOptions.builder().rois(50).build(), few));
        write("pinned", Bench.run(bundle, DEFAULTS, pinned));
        assertEquals(before, Memory.status("Cpus_allowed_list"));
        write("verify", Bench.verify(bundle, DEFAULTS));
        write("machine", Bench.machine());
    }

    @Test
    public void badOptionsAreRefused() {
        File bundle = Fixtures.bundle("tiny");
        refused("--frames", () -> Bench.run(bundle, DEFAULTS, BenchOptions.builder().frames(0).build()));
        refused("--seconds", () -> Bench.run(bundle, DEFAULTS, BenchOptions.builder().seconds(-1.0).build()));
        refused("--cpu", () -> Bench.run(bundle, DEFAULTS, BenchOptions.builder().cpu(1023).build()));
        refused("--precision", () -> Bench.verify(bundle, DetectorOptions.builder().precision("x").build()));
        DetectorOptions other = DetectorOptions.builder().digest("00").build();
        assertThrows(BundleException.class, () -> Bench.verify(bundle, other));
        assertThrows(BundleException.class, () -> Bench.run(bundle, other, BenchOptions.defaults()));
        DetectorOptions none = DetectorOptions.builder().digest("").build();
        refused("digest=", () -> Bench.verify(bundle, none));
        refused("digest=", () -> Bench.run(bundle, none, BenchOptions.defaults()));
        assertThrows(BundleException.class, () -> Bench.run(new File("/nowhere"), DEFAULTS, BenchOptions.defaults()));
    }

    private static void refused(String words, org.junit.function.ThrowingRunnable work) {
        String message = assertThrows(UsageException.class, work).getMessage();
        assertTrue(message, message.contains(words));
    }

    private static void write(String name, String document) throws IOException {
        File folder = new File(System.getProperty("pocketdet.documents"));
        assertTrue(folder.isDirectory() || folder.mkdirs());
        Files.write(new File(folder, name + ".json").toPath(), document.getBytes(StandardCharsets.UTF_8));
    }
}
