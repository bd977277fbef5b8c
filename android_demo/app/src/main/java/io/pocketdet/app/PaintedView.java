package io.pocketdet.app;

import android.content.Context;
import android.graphics.Canvas;
import android.util.AttributeSet;
import android.view.View;
import io.pocketdet.app.draw.Surface;

/** A view of as much height as its painter needs. Until it has a painter it is empty. */
public final class PaintedView extends View {
    /** Paints everything and returns where it ends. */
    interface Painter {
        float paint(Surface surface);
    }

    private final CanvasSurface surface = new CanvasSurface();
    private Painter painter;

    public PaintedView(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    /** `spoken` is what a screen reader says instead. */
    void setPainter(Painter next, CharSequence spoken) {
        painter = next;
        setContentDescription(spoken);
        requestLayout();
        invalidate();
    }

    @Override
    protected void onMeasure(int widthSpec, int heightSpec) {
        int width = MeasureSpec.getSize(widthSpec);
        int available = MeasureSpec.getSize(heightSpec);
        float end = painter == null ? 0 : painter.paint(surface.on(new Canvas(), width, available));
        setMeasuredDimension(width, Math.max(getSuggestedMinimumHeight(), Math.max((int) Math.ceil(end), available)));
    }

    @Override
    protected void onDraw(Canvas canvas) {
        if (painter != null) {
            painter.paint(surface.on(canvas, getWidth(), getHeight()));
        }
    }
}
