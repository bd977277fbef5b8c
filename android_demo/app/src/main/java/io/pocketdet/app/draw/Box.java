package io.pocketdet.app.draw;

import io.pocketdet.Detections;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** One detection: corners in pixels of the upright image, score 0..1, label from 0. */
public final class Box {
    public final float x1;
    public final float y1;
    public final float x2;
    public final float y2;
    public final float score;
    public final int label;
    public final String name;

    public Box(float x1, float y1, float x2, float y2, float score, int label, String name) {
        this.x1 = x1;
        this.y1 = y1;
        this.x2 = x2;
        this.y2 = y2;
        this.score = score;
        this.label = label;
        this.name = name;
    }

    /** In the order of the detections, best first. */
    public static List<Box> of(Detections found) {
        List<Box> all = new ArrayList<>();
        for (int i = 0; i < found.size(); i++) {
            all.add(new Box(
                    found.x1(i), found.y1(i), found.x2(i), found.y2(i), found.score(i), found.label(i), found.name(i)));
        }
        return Collections.unmodifiableList(all);
    }

    /** Those of at least this score, of boxes that are sorted best first. */
    public static List<Box> atLeast(List<Box> boxes, float score) {
        int count = 0;
        while (count < boxes.size() && boxes.get(count).score >= score) {
            count++;
        }
        return boxes.subList(0, count);
    }
}
