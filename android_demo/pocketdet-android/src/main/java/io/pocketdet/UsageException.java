package io.pocketdet;

/** An option or argument that cannot be used. */
public final class UsageException extends PocketDetException {
    private static final long serialVersionUID = 1L;

    public UsageException(String message) {
        super(message);
    }
}
