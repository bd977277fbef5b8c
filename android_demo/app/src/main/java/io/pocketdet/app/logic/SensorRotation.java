package io.pocketdet.app.logic;

/** How far a camera's image must be turned to be upright on the display. */
public final class SensorRotation {
    private SensorRotation() {
    }

    /**
     * Degrees clockwise, 0, 90, 180 or 270.
     *
     * @param sensor orientation of the sensor, a multiple of 90 (CameraCharacteristics.SENSOR_ORIENTATION)
     * @param displayQuarters what Display.getRotation() says, 0 to 3
     * @param facingUser whether the camera looks at the user: its image turns the other way round with the device
     */
    public static int degrees(int sensor, int displayQuarters, boolean facingUser) {
        int device = displayQuarters * 90;
        return Math.floorMod(facingUser ? sensor + device : sensor - device, 360);
    }

    /** Whether an image turned by these degrees has width and height exchanged. */
    public static boolean swaps(int degrees) {
        return degrees % 180 != 0;
    }
}
