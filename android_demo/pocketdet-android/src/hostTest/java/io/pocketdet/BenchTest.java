package io.pocketdet;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
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

    /** As in an app that was narrowed in the background and is in front again. */
    @Test
    public void aPinnedThreadGetsAllCoresBackWhateverItHadBefore() throws IOException, InterruptedException {
        File bundle = Fixtures.bundle("shipped");
        String[] cores = Memory.status("Cpus_allowed_list").split("[,-]");
        BenchOptions pinned =
                BenchOptions.builder().frames(1).warmup(0).cpu(Integer.parseInt(cores[cores.length - 1])).build();
        Bench.run(bundle, DEFAULTS, pinned);
        String all = Memory.status("Cpus_allowed_list");
        String thread = new File("/proc/thread-self").getCanonicalFile().getName();
        assertEquals(0, new ProcessBuilder("taskset", "-cp", cores[0], thread).start().waitFor());
        assertEquals(cores[0], Memory.status("Cpus_allowed_list"));
        Bench.run(bundle, DEFAULTS, pinned);
        assertEquals(all, Memory.status("Cpus_allowed_list"));
    }

    @Test
    public void anInterruptEndsARunBeforeItsNextFrame() throws InterruptedException {
        File bundle = Fixtures.bundle("shipped");
        BenchOptions endless = BenchOptions.builder().frames(10_000_000).build();
        Thread.currentThread().interrupt();
        assertThrows(CancellationException.class, () -> Bench.run(bundle, DEFAULTS, endless));
        assertTrue(Thread.interrupted());
        List<Throwable> ended = Collections.synchronizedList(new ArrayList<>());
        Thread other = new Thread(() -> Bench.run(bundle, DEFAULTS, endless));
        other.setUncaughtExceptionHandler((thread, error) -> ended.add(error));
        other.start();
        while (other.getStackTrace().length == 0 || !other.getStackTrace()[0].isNativeMethod()) {
            Thread.yield(); // until it is in native code
        }
        other.interrupt();
        other.join();
        assertEquals("the run was cancelled", ended.get(0).getMessage());
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
