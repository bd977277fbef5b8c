package io.pocketdet.app.draw;

/** Colours of classes: the same as in the images that `pocketdet detect` draws (runtime/draw.py). */
public final class Palette {
    private static final double[] LIGHTNESS = {0.74, 0.66, 0.82};
    private static final double CHROMA = 0.17;
    private static final int BRIGHT = 130;

    private Palette() {
    }

    /** Hues a golden angle apart at a lightness that suits photographs (OKLCh); label from 0. */
    public static int classColour(int label) {
        double hue = Math.toRadians(25 + 137.50776 * label);
        double lightness = LIGHTNESS[Math.floorMod(label, LIGHTNESS.length)];
        double a = CHROMA * Math.cos(hue);
        double b = CHROMA * Math.sin(hue);
        // OKLab to linear sRGB, https://bottosson.github.io/posts/oklab/
        double l = Math.pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
        double m = Math.pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
        double s = Math.pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
        int red = gamma(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s);
        int green = gamma(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s);
        int blue = gamma(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s);
        return 0xFF000000 | red << 16 | green << 8 | blue;
    }

    /** Black or white, whichever can be read on this colour. */
    public static int textOn(int colour) {
        double light = 0.299 * (colour >> 16 & 255) + 0.587 * (colour >> 8 & 255) + 0.114 * (colour & 255);
        return light > BRIGHT ? 0xFF101010 : 0xFFFFFFFF;
    }

    private static int gamma(double linear) {
        double value = Math.min(1, Math.max(0, linear));
        double bent = value <= 0.0031308 ? 12.92 * value : 1.055 * Math.pow(value, 1 / 2.4) - 0.055;
        return (int) Math.rint(255 * bent);
    }
}
