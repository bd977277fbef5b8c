package io.pocketdet.app.draw;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.font.TextAttribute;
import java.awt.font.TextLayout;
import java.awt.geom.RoundRectangle2D;
import java.awt.image.BufferedImage;
import java.text.AttributedString;

/** Draws into an image on a computer with the calls of a phone, in Roboto where that is installed. */
public final class ImageSurface implements Surface {
    private final BufferedImage image;
    private final Graphics2D graphics;

    public ImageSurface(BufferedImage image) {
        this.image = image;
        graphics = image.createGraphics();
        graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
        graphics.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
        graphics.setRenderingHint(RenderingHints.KEY_STROKE_CONTROL, RenderingHints.VALUE_STROKE_PURE);
        graphics.setRenderingHint(RenderingHints.KEY_FRACTIONALMETRICS, RenderingHints.VALUE_FRACTIONALMETRICS_ON);
    }

    @Override
    public float width() {
        return image.getWidth();
    }

    @Override
    public float height() {
        return image.getHeight();
    }

    @Override
    public void fill(float x1, float y1, float x2, float y2, float radius, int colour) {
        graphics.setColor(new Color(colour, true));
        graphics.fill(new RoundRectangle2D.Float(x1, y1, x2 - x1, y2 - y1, 2 * radius, 2 * radius));
    }

    @Override
    public void outline(float x1, float y1, float x2, float y2, float radius, float line, int colour) {
        graphics.setColor(new Color(colour, true));
        graphics.setStroke(new BasicStroke(line));
        graphics.draw(new RoundRectangle2D.Float(x1, y1, x2 - x1, y2 - y1, 2 * radius, 2 * radius));
    }

    @Override
    public void text(String text, float x, float baseline, float size, boolean bold, int colour) {
        if (text.isEmpty()) {
            return;
        }
        graphics.setColor(new Color(colour, true));
        layout(text, size, bold).draw(graphics, x, baseline);
    }

    @Override
    public float textWidth(String text, float size, boolean bold) {
        return text.isEmpty() ? 0 : layout(text, size, bold).getAdvance();
    }

    /** Characters that Roboto lacks are taken from another font, as on a phone. */
    private TextLayout layout(String text, float size, boolean bold) {
        Font font = font("Roboto", size, bold);
        AttributedString styled = new AttributedString(text);
        styled.addAttribute(TextAttribute.FONT, font);
        for (int i = 0; i < text.length(); i++) {
            if (!font.canDisplay(text.charAt(i))) {
                styled.addAttribute(TextAttribute.FONT, font(Font.SANS_SERIF, size, bold), i, i + 1);
            }
        }
        return new TextLayout(styled.getIterator(), graphics.getFontRenderContext());
    }

    private static Font font(String name, float size, boolean bold) {
        return new Font(name, bold ? Font.BOLD : Font.PLAIN, 1).deriveFont(size);
    }
}
