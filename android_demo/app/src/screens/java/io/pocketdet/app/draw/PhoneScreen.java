package io.pocketdet.app.draw;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.util.ArrayList;
import java.util.List;

/**
 * A drawing of one of the app's screens: what Android draws (its bars, the bar with the title, the texts of
 * layout/screen.xml and layout/text.xml) is imitated in their places, sizes and colours; boxes are the app's own.
 */
final class PhoneScreen {
    private static final float UNIT = 1.5f; // pixels of a density-independent unit
    private static final float STATUS_BAR = 24;
    private static final float TITLE_BAR = 56;
    private static final float GESTURE_BAR = 24;
    private static final float PAD = 12;

    final BufferedImage image;
    private final ImageSurface surface;
    private final int background;
    private final int ink;

    /** Sizes in density-independent units; colours 0xAARRGGBB of the window and of texts. */
    PhoneScreen(int width, int height, String title, int bar, int background, int ink) {
        image = new BufferedImage(Math.round(width * UNIT), Math.round(height * UNIT), BufferedImage.TYPE_INT_RGB);
        surface = new ImageSurface(image);
        this.background = background;
        this.ink = ink;
        surface.fill(0, 0, image.getWidth(), image.getHeight(), 0, background);
        surface.fill(0, STATUS_BAR * UNIT, image.getWidth(), top(), 0, bar);
        surface.text(title, 16 * UNIT, (STATUS_BAR + 36) * UNIT, 20 * UNIT, true, 0xFFFFFFFF);
    }

    /** Draws the gesture bar of the system over all else. */
    BufferedImage finish() {
        float middle = image.getWidth() / 2f;
        float y = image.getHeight() - GESTURE_BAR / 2 * UNIT;
        surface.fill(middle - 54 * UNIT, y - 2 * UNIT, middle + 54 * UNIT, y + 2 * UNIT, 2 * UNIT, ink);
        return image;
    }

    float unit() {
        return UNIT;
    }

    /** The top of what the app itself fills. */
    float top() {
        return (STATUS_BAR + TITLE_BAR) * UNIT;
    }

    private float safeBottom() {
        return image.getHeight() - GESTURE_BAR * UNIT;
    }

    /** Draws an image into a rectangle below the bar, on the window's background. */
    void drawImage(BufferedImage content, int left, int top, int right, int bottom) {
        Graphics2D graphics = image.createGraphics();
        graphics.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BICUBIC);
        graphics.setColor(new Color(background, true));
        graphics.fillRect(0, (int) top(), image.getWidth(), image.getHeight());
        graphics.drawImage(content, left, top, right - left, bottom - top, null);
        graphics.dispose();
    }

    /** The status panel at the bottom. */
    void status(List<String> lines, int colour) {
        float size = 14 * UNIT;
        float step = 1.2f * size;
        float y = safeBottom() - PAD * UNIT - step * lines.size();
        surface.fill(0, y - PAD * UNIT, image.getWidth(), safeBottom(), 0, colour);
        for (String line : lines) {
            y += step;
            surface.text(line, PAD * UNIT, y - 0.25f * size, size, false, 0xFFFFFFFF);
        }
    }

    /** The panel of an alarm in the middle. */
    void alarm(String title, String message, int colour) {
        float margin = 16 * UNIT;
        float width = image.getWidth() - 2 * margin - 2 * PAD * UNIT;
        List<String> lines = wrap(message, 14 * UNIT, width);
        float height = 2 * PAD * UNIT + 20.5f * UNIT + 17 * UNIT * lines.size();
        float y = top() + (safeBottom() - top() - height) / 2;
        surface.fill(margin, y, image.getWidth() - margin, y + height, 10 * UNIT, colour);
        y += PAD * UNIT + 17 * UNIT;
        surface.text(title, margin + PAD * UNIT, y, 17 * UNIT, true, 0xFFFFFFFF);
        y += 3.5f * UNIT;
        for (String line : lines) {
            y += 17 * UNIT;
            surface.text(line, margin + PAD * UNIT, y, 14 * UNIT, false, 0xFFFFFFFF);
        }
    }

    /** The text of a screen that has nothing else. */
    void text(String text) {
        float size = 16 * UNIT;
        float y = top() + 48 * UNIT;
        for (String paragraph : text.split("\n", -1)) {
            for (String line : wrap(paragraph, size, image.getWidth() - 64 * UNIT)) {
                surface.text(line, 32 * UNIT, y, size, false, ink);
                y += 1.25f * size;
            }
        }
    }

    private List<String> wrap(String text, float size, float width) {
        List<String> lines = new ArrayList<>();
        String line = "";
        for (String word : text.split(" ")) {
            String longer = line.isEmpty() ? word : line + " " + word;
            if (!line.isEmpty() && surface.textWidth(longer, size, false) > width) {
                lines.add(line);
                longer = word;
            }
            line = longer;
        }
        lines.add(line);
        return lines;
    }
}
