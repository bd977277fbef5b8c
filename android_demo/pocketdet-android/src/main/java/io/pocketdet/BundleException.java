package io.pocketdet;

/** A bundle that cannot be trusted: missing or damaged files, a wrong hash, a manifest out of schema. */
public final class BundleException extends PocketDetException {
    private static final long serialVersionUID = 1L;

    public BundleException(String message) {
        super(message);
    }
}
