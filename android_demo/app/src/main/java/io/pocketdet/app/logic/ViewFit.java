package io.pocketdet.app.logic;

/**
 * Where an image lies in a view: scaled alike in both directions and centred, mirrored for the camera that looks at
 * the user. Coordinates are pixels with the origin in the top left corner.
 */
public final class ViewFit {
    private final float scale;
    private final float left;
    private final float top;
    private final int width;
    private final int height;
    private final boolean mirrored;

    private ViewFit(float scale, int width, int height, float viewWidth, float viewHeight, boolean mirrored) {
        this.scale = scale;
        this.width = width;
        this.height = height;
        this.mirrored = mirrored;
        left = (viewWidth - width * scale) / 2;
        top = (viewHeight - height * scale) / 2;
    }

    /** The whole image is seen, with bars beside it. Sizes are at least 1. */
    public static ViewFit inside(int width, int height, float viewWidth, float viewHeight, boolean mirrored) {
        float scale = Math.min(viewWidth / width, viewHeight / height);
        return new ViewFit(scale, width, height, viewWidth, viewHeight, mirrored);
    }

    public float scale() {
        return scale;
    }

    /** Column of the view for a column of the image. */
    public float x(float column) {
        return left + scale * (mirrored ? width - column : column);
    }

    /** Row of the view for a row of the image. */
    public float y(float row) {
        return top + scale * row;
    }

    /** Where in the image's width a column of the view is, 0..1 within the image, unmirrored. */
    public float acrossAt(float x) {
        float part = (x - left) / (scale * width);
        return mirrored ? 1 - part : part;
    }

    /** Where in the image's height a row of the view is, 0..1 within the image. */
    public float downAt(float y) {
        return (y - top) / (scale * height);
    }

    /** Edges of the whole image in the view. */
    public float left() {
        return left;
    }

    public float top() {
        return top;
    }

    public float right() {
        return left + scale * width;
    }

    public float bottom() {
        return top + scale * height;
    }

    /** A box of the image in the view, (x1, y1, x2, y2) with x1 below x2 also when mirrored. */
    public float[] box(float x1, float y1, float x2, float y2) {
        float a = x(x1);
        float b = x(x2);
        return new float[] {Math.min(a, b), y(y1), Math.max(a, b), y(y2)};
    }
}
