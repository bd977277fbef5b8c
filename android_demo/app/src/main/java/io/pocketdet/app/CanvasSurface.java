package io.pocketdet.app;

import android.graphics.Canvas;
import android.graphics.Paint;
import android.graphics.Typeface;
import io.pocketdet.app.draw.Surface;

/** Draws on an Android canvas. Keeps its paint, so that one object serves many frames. */
final class CanvasSurface implements Surface {
    private static final Typeface BOLD = Typeface.create("sans-serif-medium", Typeface.NORMAL);

    private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG | Paint.SUBPIXEL_TEXT_FLAG);
    private Canvas canvas = new Canvas();
    private float width;
    private float height;

    /** Draws on this canvas from now on; a canvas without pixels measures only. */
    CanvasSurface on(Canvas next, float wide, float high) {
        canvas = next;
        width = wide;
        height = high;
        return this;
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
        paint.setStyle(Paint.Style.FILL);
        paint.setColor(colour);
        canvas.drawRoundRect(x1, y1, x2, y2, radius, radius, paint);
    }

    @Override
    public void outline(float x1, float y1, float x2, float y2, float radius, float line, int colour) {
        paint.setStyle(Paint.Style.STROKE);
        paint.setStrokeWidth(line);
        paint.setColor(colour);
        canvas.drawRoundRect(x1, y1, x2, y2, radius, radius, paint);
    }

    @Override
    public void text(String text, float x, float baseline, float size, boolean bold, int colour) {
        letters(size, bold);
        paint.setColor(colour);
        canvas.drawText(text, x, baseline, paint);
    }

    @Override
    public float textWidth(String text, float size, boolean bold) {
        letters(size, bold);
        return paint.measureText(text);
    }

    private void letters(float size, boolean bold) {
        paint.setStyle(Paint.Style.FILL);
        paint.setTextSize(size);
        paint.setTypeface(bold ? BOLD : Typeface.SANS_SERIF);
    }
}
