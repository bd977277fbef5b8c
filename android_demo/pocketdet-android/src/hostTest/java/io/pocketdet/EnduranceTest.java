package io.pocketdet;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.Test;

/** Many frames, many detectors, many threads. */
public class EnduranceTest {
    private static final int FRAMES = 10_000;
    private static final long ALLOWED_KIB = 2048;

    @Test
    public void tenThousandFramesDoNotGrow() throws InterruptedException {
        for (String name : Fixtures.bundleNames()) {
            if (!name.startsWith("tiny")) {
                continue;
            }
            try (Detector detector = Detector.open(Fixtures.bundle(name), DetectorOptions.defaults())) {
                run(detector, FRAMES / 2);
                long before = Memory.residentKib();
                int found = run(detector, FRAMES);
                long growth = Memory.residentKib() - before;
                System.out.println("[memory] " + name + ": " + FRAMES + " frames, " + found + " detections, resident"
                        + " memory grew by " + growth + " KiB");
                assertTrue("grew by " + growth + " KiB", growth < ALLOWED_KIB);
            }
        }
    }

    @Test
    public void openingAndClosingDoesNotGrow() throws InterruptedException {
        openAndClose(300);
        long before = Memory.residentKib();
        openAndClose(600);
        long growth = Memory.residentKib() - before;
        System.out.println(
                "[memory] 600 detectors opened, tested and closed: resident memory grew by " + growth + " KiB");
        assertTrue("grew by " + growth + " KiB", growth < ALLOWED_KIB);
    }

    @Test
    public void twoDetectorsRunAtOnce() throws InterruptedException {
        List<Frame> images = Fixtures.images();
        String[] names = {"shipped", "other"};
        List<List<Detections>> alone = new ArrayList<>();
        for (String name : names) {
            alone.add(detectAll(name, images));
        }
        AtomicReference<Throwable> failure = new AtomicReference<>();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < names.length; i++) {
            int one = i;
            threads.add(start(failure, () -> {
                List<Detections> together = detectAll(names[one], images);
                for (int k = 0; k < images.size(); k++) {
                    DetectorTest.assertSame(alone.get(one).get(k), together.get(k));
                }
            }));
        }
        join(threads, failure);
    }

    @Test
    public void oneDetectorMayBeUsedFromManyThreads() throws InterruptedException {
        Frame frame = Fixtures.noise(40, 30, 5);
        try (Detector detector = Detector.open(Fixtures.bundle("tiny"), DetectorOptions.defaults())) {
            Detections alone = detector.detect(frame);
            AtomicReference<Throwable> failure = new AtomicReference<>();
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                threads.add(start(failure, () -> {
                    for (int k = 0; k < 300; k++) {
                        DetectorTest.assertSame(alone, detector.detect(frame));
                    }
                }));
            }
            join(threads, failure);
        }
    }

    @Test
    public void closingWaitsForTheFrameInFlight() throws InterruptedException {
        Frame frame = Fixtures.noise(64, 48, 6);
        AtomicInteger refused = new AtomicInteger();
        for (int round = 0; round < 100; round++) {
            Detector detector = Detector.open(Fixtures.bundle("tiny"), DetectorOptions.defaults());
            CountDownLatch running = new CountDownLatch(2);
            AtomicReference<Throwable> failure = new AtomicReference<>();
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                threads.add(start(failure, () -> {
                    try {
                        while (true) {
                            detector.detect(frame);
                            running.countDown();
                        }
                    } catch (ClosedException expected) {
                        refused.incrementAndGet();
                    }
                }));
            }
            running.await();
            detector.close();
            join(threads, failure);
        }
        assertEquals(200, refused.get());
    }

    private static int run(Detector detector, int frames) {
        Frame[] images = {Fixtures.noise(40, 30, 1), Fixtures.noise(33, 57, 2).rotate(90),
                Fixtures.noise(64, 64, 3).crop(5, 6, 40, 50)};
        int found = 0;
        for (int i = 0; i < frames; i++) {
            found += detector.detect(images[i % images.length]).size();
        }
        return found;
    }

    private static void openAndClose(int times) {
        for (int i = 0; i < times; i++) {
            try (Detector detector = Detector.open(Fixtures.bundle("tiny"), DetectorOptions.defaults())) {
                detector.detect(Fixtures.noise(8, 8, i));
            }
            try {
                Detector.open(Fixtures.bundle("tiny"), DetectorOptions.builder().rois(-1).build()).close();
            } catch (UsageException expected) {
                continue;
            }
            throw new AssertionError("no exception");
        }
    }

    private static List<Detections> detectAll(String name, List<Frame> images) {
        List<Detections> all = new ArrayList<>();
        try (Detector detector = Detector.open(Fixtures.bundle(name), DetectorOptions.defaults())) {
            for (Frame image : images) {
                all.add(detector.detect(image));
            }
        }
        return all;
    }

    private static Thread start(AtomicReference<Throwable> failure, Runnable work) {
        Thread thread = new Thread(work);
        thread.setUncaughtExceptionHandler((which, error) -> failure.set(error));
        thread.start();
        return thread;
    }

    private static void join(List<Thread> threads, AtomicReference<Throwable> failure) throws InterruptedException {
        for (Thread thread : threads) {
            thread.join();
        }
        assertNull(String.valueOf(failure.get()), failure.get());
    }
}
