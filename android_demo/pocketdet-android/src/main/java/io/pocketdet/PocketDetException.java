package io.pocketdet;

/**
 * What can go wrong with a detector that is not its program's fault. The message is one sentence: the file or value,
 * what was expected, what was found, what to do. Show it to the user.
 */
public class PocketDetException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public PocketDetException(String message) {
        super(message);
    }
}
