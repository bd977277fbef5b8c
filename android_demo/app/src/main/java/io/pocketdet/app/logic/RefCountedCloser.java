package io.pocketdet.app.logic;

/**
 * Closes a resource, such as a camera's buffers, when it has no users. Thread-safe.
 */
public final class RefCountedCloser {
    private final Runnable closer;
    private int users;
    private boolean closing;

    public RefCountedCloser(Runnable closer) {
        this.closer = closer;
    }

    /** Adds a user. Returns false if {@link #close} was called. */
    public synchronized boolean acquire() {
        if (closing) {
            return false;
        }
        users++;
        return true;
    }

    /** Removes a user added by {@link #acquire}; the last one closes the resource after {@link #close}. */
    public void release() {
        boolean last;
        synchronized (this) {
            users--;
            last = closing && users == 0;
        }
        if (last) {
            closer.run();
        }
    }

    /** Closes the resource once it has no users. Further calls have no effect. */
    public void close() {
        boolean now;
        synchronized (this) {
            now = !closing && users == 0;
            closing = true;
        }
        if (now) {
            closer.run();
        }
    }
}
