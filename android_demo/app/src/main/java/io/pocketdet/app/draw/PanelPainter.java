package io.pocketdet.app.draw;

import java.util.List;

/** Panels over the camera: the status across the bottom, a notice across the top, a message across the middle. */
public final class PanelPainter {
    private static final int GLASS = 0xC8101418;
    private static final int WHITE = 0xFFFFFFFF;
    private static final int RED = 0xFFC93A31;
    private static final int GREY = 0xFFC4CCD4;
    private static final float TITLE = 15;
    private static final float LINE = 13;
    private static final float STEP = 19;
    private static final float PAD = 12;

    private PanelPainter() {
    }

    /** A bar across the bottom, the first line as its title. Returns its top edge. */
    public static float status(Surface surface, List<String> lines, float unit) {
        float top = surface.height() - (2 * PAD + STEP * lines.size() - 4) * unit;
        surface.fill(0, top, surface.width(), surface.height(), 0, GLASS);
        float width = surface.width() - 2 * PAD * unit;
        float baseline = top + (PAD + LINE) * unit;
        for (int i = 0; i < lines.size(); i++) {
            float size = (i == 0 ? TITLE : LINE) * unit;
            String text = Words.fit(surface, lines.get(i), size, i == 0, width);
            surface.text(text, PAD * unit, baseline, size, i == 0, i == 0 ? WHITE : GREY);
            baseline += STEP * unit;
        }
        return top;
    }

    /** A bar across the top: what the user must know although boxes are shown. Returns its bottom edge. */
    public static float notice(Surface surface, String sentence, float unit) {
        List<String> lines = Words.wrap(surface, sentence, LINE * unit, surface.width() - 2 * PAD * unit);
        float bottom = (2 * PAD + STEP * lines.size() - 4) * unit;
        surface.fill(0, 0, surface.width(), bottom, 0, GLASS);
        float baseline = (PAD + LINE) * unit;
        for (String line : lines) {
            surface.text(line, PAD * unit, baseline, LINE * unit, false, WHITE);
            baseline += STEP * unit;
        }
        return bottom;
    }

    /** A red card in the middle: what is wrong and what to do. */
    public static void alarm(Surface surface, String title, String message, float unit) {
        float margin = 16 * unit;
        float width = surface.width() - 2 * margin - 2 * PAD * unit;
        List<String> lines = Words.wrap(surface, message, (LINE + 1) * unit, width);
        float height = (2 * PAD + 26 + (STEP + 1) * lines.size()) * unit;
        float top = Math.max(margin, (surface.height() - height) / 2 - 40 * unit);
        surface.fill(margin, top, surface.width() - margin, top + height, 10 * unit, RED);
        float x = margin + PAD * unit;
        float baseline = top + (PAD + TITLE) * unit;
        surface.text(Words.fit(surface, title, 17 * unit, true, width), x, baseline, 17 * unit, true, WHITE);
        baseline += 6 * unit;
        for (String line : lines) {
            baseline += (STEP + 1) * unit;
            surface.text(line, x, baseline, (LINE + 1) * unit, false, WHITE);
        }
    }
}
