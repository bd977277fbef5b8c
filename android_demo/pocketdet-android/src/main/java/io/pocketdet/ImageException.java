package io.pocketdet;

/** An image that is empty, too large, or has buffers too small for its size. */
public final class ImageException extends PocketDetException {
    private static final long serialVersionUID = 1L;

    public ImageException(String message) {
        super(message);
    }
}
