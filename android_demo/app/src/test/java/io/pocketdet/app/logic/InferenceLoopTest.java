package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.Test;

public class InferenceLoopTest {
    private final List<String> log = Collections.synchronizedList(new ArrayList<>());
    private final AtomicInteger open = new AtomicInteger();
    private final CountDownLatch busy = new CountDownLatch(1);
    private final CountDownLatch goOn = new CountDownLatch(1);

    private final class Frame implements AutoCloseable {
        final int number;
        private boolean closed;

        Frame(int number) {
            this.number = number;
            open.incrementAndGet();
        }

        @Override
        public void close() {
            assertFalse(closed);
            closed = true;
            open.decrementAndGet();
        }
    }

    private final class Detector implements InferenceLoop.Worker<Frame, String> {
        private final boolean healthy;

        Detector(boolean healthy) {
            this.healthy = healthy;
        }

        @Override
        public boolean test() {
            log.add("test");
            return healthy;
        }

        @Override
        public String run(Frame frame) {
            assertFalse(frame.closed);
            busy.countDown();
            await(goOn);
            if (frame.number < 0) {
                throw new IllegalStateException("bad frame");
            }
            return "frame " + frame.number;
        }

        @Override
        public void close() {
            log.add("closed");
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    private InferenceLoop<Frame, String> loop(InferenceLoop.Opener<Frame, String> opener) {
        return after(null, opener);
    }

    private InferenceLoop<Frame, String> after(
            InferenceLoop<Frame, String> previous, InferenceLoop.Opener<Frame, String> opener) {
        return new InferenceLoop<>(opener, log::add, error -> log.add(error.getMessage()), previous);
    }

    @Test(timeout = 10_000)
    public void onlyTheLatestFrameIsRun() throws InterruptedException {
        InferenceLoop<Frame, String> loop = loop(() -> new Detector(true));
        loop.start();
        loop.offer(new Frame(0));
        await(busy);
        for (int i = 1; i <= 9; i++) {
            loop.offer(new Frame(i));
        }
        assertEquals(2, open.get()); // one in hand, one waiting
        goOn.countDown();
        while (!log.contains("frame 9")) {
            Thread.sleep(1);
        }
        loop.stop();
        loop.join();
        assertEquals("[test, frame 0, frame 9, closed]", log.toString());
        loop.offer(new Frame(10));
        assertEquals(0, open.get());
    }

    @Test(timeout = 10_000)
    public void stopDuringAFrameFinishesIt() throws InterruptedException {
        InferenceLoop<Frame, String> loop = loop(() -> new Detector(true));
        loop.start();
        loop.offer(new Frame(1));
        await(busy);
        loop.offer(new Frame(2));
        loop.stop();
        goOn.countDown();
        loop.join();
        assertEquals("[test, frame 1, closed]", log.toString());
        assertEquals(0, open.get());
    }

    @Test(timeout = 10_000)
    public void aFailedSelfTestRunsNothing() throws InterruptedException {
        InferenceLoop<Frame, String> loop = loop(() -> new Detector(false));
        loop.offer(new Frame(1));
        loop.start();
        loop.join();
        assertEquals("[test, closed]", log.toString());
        assertEquals(0, open.get());
    }

    @Test(timeout = 10_000)
    public void whatIsThrownIsTold() throws InterruptedException {
        InferenceLoop<Frame, String> loop = loop(() -> { throw new IllegalArgumentException("no such bundle"); });
        loop.offer(new Frame(1));
        loop.start();
        loop.join();
        goOn.countDown();
        InferenceLoop<Frame, String> other = loop(() -> new Detector(true));
        other.start();
        other.offer(new Frame(-1));
        other.join();
        assertEquals("[no such bundle, test, closed, bad frame]", log.toString());
        assertEquals(0, open.get());
    }

    @Test(timeout = 10_000)
    public void theNextDetectorOpensAfterTheLastIsClosed() throws InterruptedException {
        InferenceLoop<Frame, String> first = loop(() -> new Detector(true));
        first.start();
        first.offer(new Frame(1));
        await(busy);
        InferenceLoop<Frame, String> second = after(first, () -> {
            log.add("open");
            return new Detector(false);
        });
        second.start();
        InferenceLoop<Frame, String> skipped =
                after(second, () -> { throw new IllegalStateException("opened after stop"); });
        skipped.start();
        skipped.stop();
        first.stop();
        goOn.countDown();
        skipped.join();
        assertEquals("[test, frame 1, closed, open, test, closed]", log.toString());
    }

    @Test
    public void aLeaseEndsWithItsLastUser() {
        AtomicInteger closed = new AtomicInteger();
        RefCountedCloser closer = new RefCountedCloser(closed::incrementAndGet);
        assertTrue(closer.acquire());
        assertTrue(closer.acquire());
        closer.release();
        closer.close();
        assertFalse(closer.acquire());
        assertEquals(0, closed.get());
        closer.release();
        closer.close();
        assertEquals(1, closed.get());
        RefCountedCloser unused = new RefCountedCloser(closed::incrementAndGet);
        unused.close();
        unused.close();
        assertEquals(2, closed.get());
    }
}
