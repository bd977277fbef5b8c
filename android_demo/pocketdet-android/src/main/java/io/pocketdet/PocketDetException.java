package io.pocketdet;

/**
 * Base class of errors of this library. The message is one sentence for the user: the file or value, what was expected,
 * what was found and what to do.
 */
public class PocketDetException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public PocketDetException(String message) {
        super(message);
    }
}
