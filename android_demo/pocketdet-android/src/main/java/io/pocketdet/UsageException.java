package io.pocketdet;

/** An invalid option or argument. */
public final class UsageException extends PocketDetException {
    private static final long serialVersionUID = 1L;

    public UsageException(String message) {
        super(message);
    }
}
