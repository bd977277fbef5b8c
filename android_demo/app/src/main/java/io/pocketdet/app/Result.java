package io.pocketdet.app;

import io.pocketdet.Detections;
import io.pocketdet.StageTimes;
import io.pocketdet.app.draw.Box;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** What was found in one frame, and how long it took; nothing of it belongs to the detector. */
final class Result {
    /** Best first, in pixels of the upright image. */
    final List<Box> boxes;

    final int width;
    final int height;

    /** Whether the preview shows it mirrored. */
    final boolean mirrored;

    /** Milliseconds before, in and after the networks. */
    final double[] partMs;

    final double totalMs;

    /** Whether it ran on the cores that were asked for. */
    final boolean pinned;

    /** The image itself, packed rows of red, green and blue; null unless it was asked for. */
    final byte[] rgb;

    Result(Detections found, boolean mirrored, byte[] rgb) {
        List<Box> all = new ArrayList<>();
        for (int i = 0; i < found.size(); i++) {
            all.add(new Box(
                    found.x1(i), found.y1(i), found.x2(i), found.y2(i), found.score(i), found.label(i), found.name(i)));
        }
        boxes = Collections.unmodifiableList(all);
        width = found.width();
        height = found.height();
        this.mirrored = mirrored;
        this.rgb = rgb;
        StageTimes times = found.times();
        partMs = new double[] {times.pre(), times.infer(), times.post()};
        totalMs = times.total();
        pinned = found.pinned();
    }
}
