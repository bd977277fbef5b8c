package io.pocketdet.app.logic;

import io.pocketdet.Frame;

/** How an image of any size is decoded into the memory that an app has. */
public final class ImageSize {
    /** Pixels a side of what is shown, 16 MB at most. Detection runs on it, too; detectors resize it to less. */
    public static final int MOST_SHOWN = 2048;

    private ImageSize() {
    }

    /**
     * The power of two by which both sides are divided while decoding. Throws io.pocketdet.ImageException for an image
     * that is larger than any detector takes.
     */
    public static int sampling(int width, int height) {
        Frame.checkSize(width, height);
        int sampling = 1;
        while (Math.max(width, height) / sampling > MOST_SHOWN) {
            sampling *= 2;
        }
        return sampling;
    }
}
