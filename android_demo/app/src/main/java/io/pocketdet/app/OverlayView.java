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
import io.pocketdet.app.draw.PanelPainter;
import io.pocketdet.app.logic.ViewFit;
import java.util.Collections;
import java.util.List;

/** Boxes, status line and alarm over a preview, or over an image of its own. */
public final class OverlayView extends View {
    private final CanvasSurface surface = new CanvasSurface();
    private final Paint smooth = new Paint(Paint.FILTER_BITMAP_FLAG);
    private final float unit;
    private Bitmap image;
    private Result result;
    private float leastScore;
    private List<String> status = Collections.emptyList();
    private String notice;
    private String alarmTitle;
    private String alarmMessage;

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

    void setStatus(List<String> lines) {
        status = lines;
        invalidate();
    }

    /** Null for none. */
    void setNotice(String sentence) {
        boolean same = String.valueOf(sentence).equals(String.valueOf(notice));
        notice = sentence;
        if (!same) {
            setContentDescription(sentence == null ? "" : sentence);
        }
        invalidate();
    }

    /** Null for no alarm. */
    void setAlarm(String title, String message) {
        boolean same = String.valueOf(message).equals(String.valueOf(alarmMessage));
        alarmTitle = title;
        alarmMessage = message;
        if (!same) {
            setContentDescription(title == null ? "" : title + ". " + message);
        }
        invalidate();
    }

    @Override
    protected void onDraw(Canvas canvas) {
        surface.on(canvas, getWidth(), getHeight());
        if (image != null) {
            ViewFit fit = ViewFit.inside(image.getWidth(), image.getHeight(), getWidth(), getHeight(), false);
            canvas.drawBitmap(image, null, new RectF(fit.left(), fit.top(), fit.right(), fit.bottom()), smooth);
        }
        if (result != null && alarmTitle == null) {
            ViewFit fit = ViewFit.inside(result.width, result.height, getWidth(), getHeight(), result.mirrored);
            OverlayPainter.paint(surface, Box.atLeast(result.boxes, leastScore), fit, unit);
        }
        if (!status.isEmpty()) {
            PanelPainter.status(surface, status, unit);
        }
        if (notice != null) {
            PanelPainter.notice(surface, notice, unit);
        }
        if (alarmTitle != null) {
            PanelPainter.alarm(surface, alarmTitle, alarmMessage, unit);
        }
    }
}
