package io.pocketdet.app.logic;

/**
 * The matrix of a TextureView that shows a camera upright and in proportion.
 *
 * <p>A TextureView turns the camera's buffer upright for the device's natural orientation (and mirrors the camera that
 * looks at the user), then stretches it over the whole view. What is left to do: undo the stretching, turn against the
 * display's rotation, scale to where {@link ViewFit} says.
 */
public final class PreviewTransform {
    private PreviewTransform() {
    }

    /**
     * {a, b, c, d, e, f} of x' = a x + b y + c, y' = d x + e y + f, from the view without a matrix to the view with it.
     *
     * @param bufferWidth width of the camera's buffer, as configured
     * @param sensor orientation of the sensor in degrees
     * @param displayQuarters Display.getRotation()
     * @param fit where the upright image lies in the view
     */
    public static float[] matrix(int bufferWidth, int bufferHeight, int sensor, int displayQuarters, float viewWidth,
            float viewHeight, ViewFit fit) {
        boolean turned = SensorRotation.swaps(sensor);
        float across = (turned ? bufferHeight : bufferWidth) / viewWidth * fit.scale();
        float down = (turned ? bufferWidth : bufferHeight) / viewHeight * fit.scale();
        // rotation by -90 degrees for each quarter, about the centre of the view
        int cos = displayQuarters == 0 ? 1 : displayQuarters == 2 ? -1 : 0;
        int sin = displayQuarters == 1 ? -1 : displayQuarters == 3 ? 1 : 0;
        float a = cos * across;
        float b = -sin * down;
        float d = sin * across;
        float e = cos * down;
        float x = viewWidth / 2;
        float y = viewHeight / 2;
        return new float[] {a, b, x - a * x - b * y, d, e, y - d * x - e * y};
    }
}
