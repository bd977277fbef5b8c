package io.pocketdet.app;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.graphics.RectF;
import android.util.AttributeSet;
import android.view.View;
import io.pocketdet.app.draw.Box;
import io.pocketdet.app.draw.OverlayPainter;
import io.pocketdet.app.logic.ViewFit;

/** Boxes over a preview, or over an image of its own. */
public final class OverlayView extends View {
    private final CanvasSurface surface = new CanvasSurface();
    private final Paint smooth = new Paint(Paint.FILTER_BITMAP_FLAG);
    private final float unit;
    private Bitmap image;
    private Result result;
    private float leastScore;

    public OverlayView(Context context, AttributeSet attributes) {
        super(context, attributes);
        unit = context.getResources().getDisplayMetrics().density;
    }

    /** The upright image below the boxes; null where a preview shows through. */
    void setImage(Bitmap upright) {
        image = upright;
        invalidate();
    }

    /** The score from which boxes are shown. */
    void setLeastScore(float score) {
        leastScore = score;
        invalidate();
    }

    /** Null for no boxes. */
    void setResult(Result next) {
        result = next;
        invalidate();
    }

    boolean hasImage() {
        return image != null;
    }

    /** The image with its boxes in the image's own size; null without an image. */
    Bitmap imageWithBoxes() {
        if (image == null) {
            return null;
        }
        Bitmap copy = image.copy(Bitmap.Config.ARGB_8888, true);
        float scale = Math.max(1, Math.min(image.getWidth(), image.getHeight()) / 480f);
        paint(new Canvas(copy), copy.getWidth(), copy.getHeight(), scale);
        return copy;
    }

    @Override
    protected void onDraw(Canvas canvas) {
        paint(canvas, getWidth(), getHeight(), unit);
    }

    private void paint(Canvas canvas, int width, int height, float scale) {
        if (image != null) {
            ViewFit fit = ViewFit.inside(image.getWidth(), image.getHeight(), width, height, mirrored());
            RectF place = new RectF(fit.left(), fit.top(), fit.right(), fit.bottom());
            canvas.save();
            canvas.scale(mirrored() ? -1 : 1, 1, place.centerX(), place.centerY());
            canvas.drawBitmap(image, null, place, smooth);
            canvas.restore();
        }
        if (result != null) {
            ViewFit fit = ViewFit.inside(result.found.width(), result.found.height(), width, height, mirrored());
            surface.on(canvas, width, height);
            OverlayPainter.paint(surface, Box.atLeast(result.boxes, leastScore), fit, scale);
        }
    }

    private boolean mirrored() {
        return result != null && result.mirrored;
    }
}
