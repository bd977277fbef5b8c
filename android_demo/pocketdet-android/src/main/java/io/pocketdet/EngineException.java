package io.pocketdet;

/** ncnn refused a network or failed while it ran, or the native library is not there. */
public final class EngineException extends PocketDetException {
    private static final long serialVersionUID = 1L;

    public EngineException(String message) {
        super(message);
    }
}
