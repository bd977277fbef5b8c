package io.pocketdet.app;

import io.pocketdet.Detections;
import io.pocketdet.app.draw.Box;
import java.util.List;

/** What was found in one frame, and how it is shown; nothing of it belongs to the detector. */
final class Result {
    final Detections found;

    /** Best first, in pixels of the upright image. */
    final List<Box> boxes;

    /** Whether the preview shows it mirrored. */
    final boolean mirrored;

    /** The image itself, packed rows of red, green and blue; null unless it was asked for. */
    final byte[] rgb;

    Result(Detections found, boolean mirrored, byte[] rgb) {
        this.found = found;
        boxes = Box.of(found);
        this.mirrored = mirrored;
        this.rgb = rgb;
    }
}
