package io.pocketdet;

/** An invalid bundle: missing or damaged files, a wrong hash, an invalid manifest. */
public final class BundleException extends PocketDetException {
    private static final long serialVersionUID = 1L;

    public BundleException(String message) {
        super(message);
    }
}
