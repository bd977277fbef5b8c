package io.pocketdet.app.logic;

/**
 * Something that must not be closed while parts of it are in use, such as a camera's buffers: closed at once if
 * nobody uses it, else by the last user.
 */
public final class Lease {
    private final Runnable closer;
    private int users;
    private boolean ending;

    public Lease(Runnable closer) {
        this.closer = closer;
    }

    /** Begins a use; false if it is being closed. */
    public synchronized boolean take() {
        if (ending) {
            return false;
        }
        users++;
        return true;
    }

    /** Ends a use that {@link #take} allowed. */
    public void give() {
        boolean last;
        synchronized (this) {
            users--;
            last = ending && users == 0;
        }
        if (last) {
            closer.run();
        }
    }

    /** Closes as soon as nobody uses it, once however often it is asked. */
    public void end() {
        boolean now;
        synchronized (this) {
            now = !ending && users == 0;
            ending = true;
        }
        if (now) {
            closer.run();
        }
    }
}
