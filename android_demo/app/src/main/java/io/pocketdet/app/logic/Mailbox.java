package io.pocketdet.app.logic;

/**
 * One place between two threads where a new item displaces the one that nobody has taken: the latest frame wins.
 *
 * <p>Items are owned by whoever holds them: `put` and `close` hand back what will not be taken, so that the caller can
 * release it.
 */
public final class Mailbox<T> {
    private T item;
    private boolean closed;

    /** Leaves an item; the one that it displaced, the item itself if the mailbox is closed, or null. */
    public synchronized T put(T next) {
        if (closed) {
            return next;
        }
        T displaced = item;
        item = next;
        notifyAll();
        return displaced;
    }

    /** Waits for an item and takes it out; null once the mailbox is closed. */
    public synchronized T take() throws InterruptedException {
        while (item == null && !closed) {
            wait();
        }
        T taken = item;
        item = null;
        return taken;
    }

    public synchronized boolean isClosed() {
        return closed;
    }

    /** Wakes whoever waits; the item that nobody will take, or null. */
    public synchronized T close() {
        closed = true;
        notifyAll();
        T left = item;
        item = null;
        return left;
    }
}
