package io.pocketdet.app.draw;

import java.util.ArrayList;
import java.util.List;

/** Keeps what was drawn; every letter is half as wide as the text is high. */
final class RecordingSurface implements Surface {
    /** A rectangle or a text, with where it lies. */
    static final class Mark {
        final String what;
        final float x1;
        final float y1;
        final float x2;
        final float y2;
        final int colour;

        Mark(String what, float x1, float y1, float x2, float y2, int colour) {
            this.what = what;
            this.x1 = x1;
            this.y1 = y1;
            this.x2 = x2;
            this.y2 = y2;
            this.colour = colour;
        }
    }

    final List<Mark> fills = new ArrayList<>();
    final List<Mark> outlines = new ArrayList<>();
    final List<Mark> texts = new ArrayList<>();
    private final float width;
    private final float height;

    RecordingSurface(float width, float height) {
        this.width = width;
        this.height = height;
    }

    @Override
    public float width() {
        return width;
    }

    @Override
    public float height() {
        return height;
    }

    @Override
    public void fill(float x1, float y1, float x2, float y2, float radius, int colour) {
        fills.add(new Mark("", x1, y1, x2, y2, colour));
    }

    @Override
    public void outline(float x1, float y1, float x2, float y2, float radius, float line, int colour) {
        outlines.add(new Mark("", x1 - line / 2, y1 - line / 2, x2 + line / 2, y2 + line / 2, colour));
    }

    @Override
    public void text(String text, float x, float baseline, float size, boolean bold, int colour) {
        texts.add(new Mark(text, x, baseline - size, x + textWidth(text, size, bold), baseline, colour));
    }

    @Override
    public float textWidth(String text, float size, boolean bold) {
        return text.length() * size / 2;
    }

    /** All texts with a line's end between them. */
    String said() {
        StringBuilder all = new StringBuilder();
        for (Mark text : texts) {
            all.append(text.what).append('\n');
        }
        return all.toString();
    }
}
