package io.pocketdet;

/** A picture without pixels, too large, or whose buffers do not hold what its size says. */
public final class ImageException extends PocketDetException {
    private static final long serialVersionUID = 1L;

    public ImageException(String message) {
        super(message);
    }
}
