package io.pocketdet;

/** A network of a bundle that is malformed, disconnected, inconsistent or not supported. */
public final class GraphException extends PocketDetException {
    private static final long serialVersionUID = 1L;

    public GraphException(String message) {
        super(message);
    }
}
