package io.pocketdet;

/** A call of a detector that is closed or closing. */
public final class ClosedException extends PocketDetException {
    private static final long serialVersionUID = 1L;

    public ClosedException(String message) {
        super(message);
    }
}
