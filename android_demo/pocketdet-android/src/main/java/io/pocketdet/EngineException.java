package io.pocketdet;

/** ncnn cannot load a network or failed, or the native library is missing. */
public final class EngineException extends PocketDetException {
    private static final long serialVersionUID = 1L;

    public EngineException(String message) {
        super(message);
    }
}
