package io.pocketdet.app.draw;

/**
 * What painters draw on: an Android Canvas on a phone, an image on a computer. Coordinates are pixels from the top
 * left corner, colours 0xAARRGGBB, sizes of text the height of its em in pixels.
 */
public interface Surface {
    float width();

    float height();

    /** A filled rectangle with round corners. */
    void fill(float x1, float y1, float x2, float y2, float radius, int colour);

    /** The outline of one; half of the line lies on either side of its edge. */
    void outline(float x1, float y1, float x2, float y2, float radius, float line, int colour);

    /** One line of sans-serif text, its left end at x. */
    void text(String text, float x, float baseline, float size, boolean bold, int colour);

    float textWidth(String text, float size, boolean bold);
}
