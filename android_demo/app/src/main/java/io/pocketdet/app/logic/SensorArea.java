package io.pocketdet.app.logic;

/** Parts of a camera's sensor, {left, top, width, height} in pixels from its own top left corner. */
public final class SensorArea {
    private static final int FOCUS_PARTS = 8; // a side of the area to focus on is this part of the crop's shorter one

    private SensorArea() {
    }

    /** The centred part that a zoom of 1 or more shows. */
    public static int[] crop(int width, int height, double zoom) {
        int across = (int) Math.round(width / zoom);
        int down = (int) Math.round(height / zoom);
        return new int[] {(width - across) / 2, (height - down) / 2, across, down};
    }

    /**
     * The area to focus on around a point of the upright image.
     *
     * @param crop the part of the sensor that is in use; streams of another shape show its centre
     * @param streamShape width / height of the camera's frames, before rotation
     * @param degrees clockwise rotation of frames to upright, a multiple of 90
     * @param u the point's column / width of the upright, unmirrored image, 0..1
     * @param v its row / height
     */
    public static int[] around(int[] crop, double streamShape, int degrees, double u, double v) {
        double across = degrees == 0 ? u : degrees == 90 ? v : degrees == 180 ? 1 - u : 1 - v;
        double down = degrees == 0 ? v : degrees == 90 ? 1 - u : degrees == 180 ? 1 - v : u;
        double shape = crop[2] / (double) crop[3];
        double width = crop[2] * Math.min(1, streamShape / shape);
        double height = crop[3] * Math.min(1, shape / streamShape);
        int side = Math.min(crop[2], crop[3]) / FOCUS_PARTS;
        int left = start(crop[0], crop[2], width, across, side);
        int top = start(crop[1], crop[3], height, down, side);
        return new int[] {left, top, side, side};
    }

    private static int start(int first, int length, double shown, double part, int side) {
        double centre = first + (length - shown) / 2 + shown * part;
        return (int) Math.round(Math.max(first, Math.min(centre - side / 2.0, first + length - side)));
    }
}
