package io.pocketdet.app.draw;

/** Colours of a screen, 0xAARRGGBB, and the pixels of one density-independent unit. */
public final class Theme {
    public final int background;
    public final int card;
    public final int text;
    public final int muted;
    public final int track;
    public final int accent;
    public final int bad;
    public final float unit;

    /** `colours`: background, card, text, muted text, track of a bar, accent, bad. */
    public Theme(float unit, int... colours) {
        if (colours.length != 7) {
            throw new IllegalArgumentException("expected 7 colours, found " + colours.length);
        }
        this.unit = unit;
        background = colours[0];
        card = colours[1];
        text = colours[2];
        muted = colours[3];
        track = colours[4];
        accent = colours[5];
        bad = colours[6];
    }
}
