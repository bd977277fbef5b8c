package io.pocketdet.app.logic;

import java.io.IOException;
import java.util.function.Consumer;

/**
 * One detector's thread: opens it, lets it test itself, then runs the latest frame there is until it is stopped.
 *
 * <p>Frames given to it are its to close. The next loop waits for the one before, so that there are never two
 * detectors' networks in memory. Whatever the detector throws is reported once.
 */
public final class InferenceLoop<F extends AutoCloseable, R> {
    /** A detector, as far as a loop needs one. */
    public interface Worker<F, R> extends AutoCloseable {
        /** Says how it is; false if frames shall not be run. */
        boolean test() throws IOException;

        R run(F frame) throws IOException;

        @Override void close();
    }

    /** Opens a worker; takes long. */
    public interface Opener<F, R> {
        Worker<F, R> open() throws IOException;
    }

    private final Mailbox<F> mailbox = new Mailbox<>();
    private final Opener<F, R> opener;
    private final Consumer<R> results;
    private final Consumer<Throwable> failures;
    private final Thread thread;

    /** Results and exceptions are reported on the loop's thread; `previous` may be null. */
    public InferenceLoop(
            Opener<F, R> opener, Consumer<R> results, Consumer<Throwable> failures, InferenceLoop<F, R> previous) {
        this.opener = opener;
        this.results = results;
        this.failures = failures;
        Thread before = previous == null ? null : previous.thread;
        thread = new Thread(() -> run(before), "inference");
    }

    public void start() {
        thread.start();
    }

    /** Gives it a frame; one that nobody will run is closed here. May be called on any thread, also after stop. */
    public void offer(F frame) {
        close(mailbox.put(frame));
    }

    /** Lets it finish the frame in hand and end. Does not wait. */
    public void stop() {
        close(mailbox.close());
    }

    /** Waits for its end. */
    public void join() throws InterruptedException {
        thread.join();
    }

    private void run(Thread before) {
        try {
            if (before != null) {
                before.join();
            }
            if (mailbox.isClosed()) {
                return;
            }
            try (Worker<F, R> worker = opener.open()) {
                if (worker.test()) {
                    frames(worker);
                }
            }
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        } catch (IOException | RuntimeException | OutOfMemoryError error) {
            failures.accept(error);
        } finally {
            stop();
        }
    }

    private void frames(Worker<F, R> worker) throws IOException, InterruptedException {
        for (F frame = mailbox.take(); frame != null; frame = mailbox.take()) {
            R result;
            try {
                result = worker.run(frame);
            } finally {
                close(frame);
            }
            results.accept(result);
        }
    }

    private void close(F frame) {
        if (frame == null) {
            return;
        }
        try {
            frame.close();
        } catch (Exception error) {
            throw new IllegalStateException("a frame cannot be released", error);
        }
    }
}
