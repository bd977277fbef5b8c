package io.pocketdet;

/** A detector that was asked for something after it was closed, or while it closes. */
public final class ClosedException extends PocketDetException {
    private static final long serialVersionUID = 1L;

    public ClosedException(String message) {
        super(message);
    }
}
