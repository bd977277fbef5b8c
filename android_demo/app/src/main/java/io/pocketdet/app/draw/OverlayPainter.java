package io.pocketdet.app.draw;

import io.pocketdet.app.logic.ViewFit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Detections over an image: boxes in the colours of their classes, labels that stay in view and apart. */
public final class OverlayPainter {
    private static final int SHADE = 0x59000000; // beside each edge, so that a box shows on any background
    private static final float LINE = 2.5f;
    private static final float TEXT = 14;
    private static final float PAD = 5;
    private static final float CHIP = 21;

    private final Surface surface;
    private final ViewFit fit;
    private final float unit;
    private final List<float[]> taken = new ArrayList<>();

    private OverlayPainter(Surface surface, ViewFit fit, float unit) {
        this.surface = surface;
        this.fit = fit;
        this.unit = unit;
    }

    /**
     * Draws boxes, best first in the list and on top in the view; `unit`: the pixels of one density-independent unit.
     */
    public static void paint(Surface surface, List<Box> boxes, ViewFit fit, float unit) {
        OverlayPainter painter = new OverlayPainter(surface, fit, unit);
        List<float[]> places = new ArrayList<>();
        for (Box box : boxes) {
            places.add(painter.visible(box));
        }
        for (int i = boxes.size() - 1; i >= 0; i--) {
            if (places.get(i) != null) {
                painter.drawBox(places.get(i), Palette.classColour(boxes.get(i).label));
            }
        }
        List<Runnable> chips = new ArrayList<>();
        for (int i = 0; i < boxes.size(); i++) {
            if (places.get(i) != null) {
                chips.add(painter.placeChip(boxes.get(i), places.get(i)));
            }
        }
        for (int i = chips.size() - 1; i >= 0; i--) {
            chips.get(i).run();
        }
    }

    /** The part of a box within the image, in the view; null for one that cannot be seen or is not finite. */
    private float[] visible(Box box) {
        float[] place = fit.box(box.x1, box.y1, box.x2, box.y2);
        float left = Math.max(fit.left(), 0);
        float top = Math.max(fit.top(), 0);
        float right = Math.min(fit.right(), surface.width());
        float bottom = Math.min(fit.bottom(), surface.height());
        float half = LINE * unit / 2;
        boolean seen = place[2] >= left && place[0] <= right && place[3] >= top && place[1] <= bottom;
        if (!seen || !(place[2] >= place[0] && place[3] >= place[1])) {
            return null;
        }
        place[0] = clamp(place[0], left + half, right - half);
        place[1] = clamp(place[1], top + half, bottom - half);
        place[2] = clamp(place[2], left + half, right - half);
        place[3] = clamp(place[3], top + half, bottom - half);
        return place;
    }

    private void drawBox(float[] place, int colour) {
        float line = LINE * unit;
        float radius = Math.min(2.5f * line, Math.min(place[2] - place[0], place[3] - place[1]) / 2);
        surface.outline(place[0], place[1], place[2], place[3], radius, line + 2 * unit, SHADE);
        surface.outline(place[0], place[1], place[2], place[3], radius, line, colour);
    }

    private Runnable placeChip(Box box, float[] place) {
        float size = TEXT * unit;
        float pad = PAD * unit;
        String label = box.name + " " + String.format(Locale.getDefault(), "%.2f", box.score);
        String text = fitting(surface, label, size, true, surface.width() - 2 * pad);
        float width = surface.textWidth(text, size, true) + 2 * pad;
        float[] chip = leastOverlapping(place, width, CHIP * unit);
        taken.add(chip);
        int colour = Palette.classColour(box.label);
        return () -> {
            surface.fill(chip[0], chip[1], chip[2], chip[3], 4 * unit, colour);
            surface.text(text, chip[0] + pad, chip[3] - 6 * unit, size, true, Palette.textOn(colour));
        };
    }

    /** The text, cut and ended with an ellipsis if it is wider than {@code maxWidth}. */
    static String fitting(Surface surface, String text, float size, boolean bold, float maxWidth) {
        if (surface.textWidth(text, size, bold) <= maxWidth) {
            return text;
        }
        for (int end = text.length() - 1; end > 0; end--) {
            String shorter = text.substring(0, end).trim() + "\u2026";
            if (surface.textWidth(shorter, size, bold) <= maxWidth) {
                return shorter;
            }
        }
        return "";
    }

    /** Returns the label position at the box with the least overlap with other labels. */
    private float[] leastOverlapping(float[] box, float width, float height) {
        float half = LINE * unit / 2;
        float[] rows = {box[1] - height + half, box[1] - half, box[3] - half, box[3] - height + half};
        float[] columns = {box[0] - half, box[2] - width + half};
        float[] best = null;
        float least = Float.POSITIVE_INFINITY;
        for (float row : rows) {
            for (float column : columns) {
                float x = clamp(column, 0, surface.width() - width);
                float y = clamp(row, 0, surface.height() - height);
                float[] place = {x, y, x + width, y + height};
                float covered = 0;
                for (float[] other : taken) {
                    covered += overlap(place, other);
                }
                if (covered < least) {
                    best = place;
                    least = covered;
                }
            }
        }
        return best;
    }

    private static float overlap(float[] a, float[] b) {
        float width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
        float height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
        return Math.max(0, width) * Math.max(0, height);
    }

    private static float clamp(float value, float least, float most) {
        return Math.max(least, Math.min(value, most));
    }
}
