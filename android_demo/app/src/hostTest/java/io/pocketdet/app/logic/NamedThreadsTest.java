package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;

import io.pocketdet.Detector;
import io.pocketdet.DetectorOptions;
import io.pocketdet.Frame;
import java.io.File;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.Test;

/** The threads that a detector runs on, found by their name. */
public class NamedThreadsTest {
    private static final File BUNDLES = new File(System.getProperty("pocketdet.fixtures"), "bundles");

    private static int threadsAfterAFrame(int threads) throws InterruptedException {
        AtomicInteger found = new AtomicInteger();
        Thread thread = new Thread(() -> {
            DetectorOptions options = DetectorOptions.builder().threads(threads).build();
            try (Detector detector = Detector.open(new File(BUNDLES, "shipped.pocketdet"), options)) {
                detector.detect(Frame.rgba(ByteBuffer.allocateDirect(4 * 64 * 64), 64, 64, 4 * 64));
                found.set(NamedThreads.ids(Thread.currentThread().getName()).length);
            }
        }, "work of " + threads);
        thread.start();
        thread.join();
        return found.get();
    }

    @Test
    public void aDetectorsThreadsHaveTheNameOfTheirMaker() throws InterruptedException {
        for (int threads = 1; threads <= Detector.maxThreads(); threads++) { // more than 1 where ncnn has OpenMP
            assertEquals(threads, threadsAfterAFrame(threads));
        }
    }

    @Test
    public void aNameOfNoThreadHasNone() {
        assertEquals(0, NamedThreads.ids("no such thread").length);
    }
}
