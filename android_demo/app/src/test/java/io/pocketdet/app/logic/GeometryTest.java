package io.pocketdet.app.logic;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.Test;

/** Rotation, fit and the preview's matrix, against what an image of a scene must look like. */
public class GeometryTest {
    @Test
    public void aPhonesBackCamera() {
        assertEquals(90, SensorRotation.degrees(90, 0, false));
        assertEquals(0, SensorRotation.degrees(90, 1, false));
        assertEquals(270, SensorRotation.degrees(90, 2, false));
        assertEquals(180, SensorRotation.degrees(90, 3, false));
    }

    @Test
    public void otherSensors() {
        assertEquals(270, SensorRotation.degrees(270, 0, false)); // mounted upside down
        assertEquals(180, SensorRotation.degrees(270, 1, false));
        assertEquals(0, SensorRotation.degrees(0, 0, false)); // a tablet's, or a webcam
        assertEquals(270, SensorRotation.degrees(270, 0, true));
        assertEquals(0, SensorRotation.degrees(270, 1, true));
        assertEquals(180, SensorRotation.degrees(270, 3, true));
    }

    @Test
    public void aBoxInside() {
        ViewFit inside = ViewFit.inside(480, 640, 1080, 2000, false);
        assertEquals(2.25f, inside.scale(), 0);
        assertArrayEquals(new float[] {0, 280, 1080, 1720}, inside.box(0, 0, 480, 640), 1e-3f);
        assertEquals(1720, inside.bottom(), 1e-3f);
        assertEquals(1080, inside.right(), 1e-3f);
    }

    @Test
    public void aMirroredBoxKeepsItsOrder() {
        ViewFit fit = ViewFit.inside(100, 50, 200, 100, true);
        assertArrayEquals(new float[] {140, 20, 180, 60}, fit.box(10, 10, 30, 30), 1e-4f);
        assertEquals(200, fit.x(0), 0);
    }

    /**
     * A point of the sensor's buffer must land in the view where its upright counterpart is drawn over it. What a
     * TextureView does by itself is repeated here: upright in the natural orientation, mirrored in front, then
     * stretched.
     */
    @Test
    public void previewAndOverlayAgree() {
        int width = 640;
        int height = 480;
        for (int sensor : new int[] {0, 90, 180, 270}) {
            for (int quarters = 0; quarters < 4; quarters++) {
                for (boolean front : new boolean[] {false, true}) {
                    for (float[] view : new float[][] {{1080, 1700}, {1900, 900}, {333, 333}}) {
                        check(width, height, sensor, quarters, front, view);
                    }
                }
            }
        }
    }

    private static void check(int width, int height, int sensor, int quarters, boolean front, float[] view) {
        int degrees = SensorRotation.degrees(sensor, quarters, front);
        boolean swapped = SensorRotation.swaps(degrees);
        ViewFit fit = ViewFit.inside(swapped ? height : width, swapped ? width : height, view[0], view[1], front);
        float[] m = PreviewTransform.matrix(width, height, sensor, quarters, view[0], view[1], fit);
        for (float[] point : new float[][] {{0, 0}, {640, 0}, {100, 50}, {639, 479}}) {
            float[] natural = turn(point[0], point[1], width, height, sensor);
            boolean turned = SensorRotation.swaps(sensor);
            float across = natural[0] / (turned ? height : width);
            float x = (front ? 1 - across : across) * view[0];
            float y = natural[1] / (turned ? width : height) * view[1];
            float[] upright = turn(point[0], point[1], width, height, degrees);
            String label = sensor + " " + quarters + " " + front + " " + Arrays.toString(view);
            assertEquals(label, fit.x(upright[0]), m[0] * x + m[1] * y + m[2], 0.01f);
            assertEquals(label, fit.y(upright[1]), m[3] * x + m[4] * y + m[5], 0.01f);
        }
    }

    private static float[] turn(float x, float y, int width, int height, int degrees) {
        switch (degrees) {
            case 90:
                return new float[] {height - y, x};
            case 180:
                return new float[] {width - x, height - y};
            case 270:
                return new float[] {y, width - x};
            default:
                return new float[] {x, y};
        }
    }

    private static List<int[]> sizes(int... sides) {
        List<int[]> all = new ArrayList<>();
        for (int i = 0; i < sides.length; i += 2) {
            all.add(new int[] {sides[i], sides[i + 1]});
        }
        return all;
    }

    private static void expect(int[] frames, int[] preview, StreamSizes found) {
        assertArrayEquals(frames, found.frames);
        assertArrayEquals(preview, found.preview);
    }

    @Test
    public void sizesOfStreamsAreThoseThatEveryDeviceTakes() {
        List<int[]> all = sizes(
                4000, 3000, 1920, 1440, 1920, 1080, 1600, 1200, 1440, 1080, 1280, 960, 640, 480, 640, 360, 320, 240);
        expect(new int[] {640, 480}, new int[] {1440, 1080}, StreamSizes.of(all, all));
        List<int[]> wide = sizes(3840, 2160, 1920, 1080, 1280, 720);
        expect(new int[] {1280, 720}, new int[] {1920, 1080}, StreamSizes.of(wide, wide));
        expect(new int[] {640, 480}, new int[] {640, 480}, StreamSizes.of(all, sizes(4000, 3000)));
        expect(new int[] {640, 480}, new int[] {640, 480}, StreamSizes.of(all, sizes()));
        expect(new int[] {4000, 3000}, new int[] {4000, 3000}, StreamSizes.of(sizes(4000, 3000), all));
        assertNull(StreamSizes.of(sizes(), all));
    }

    @Test
    public void aCameraThatRefusesItsSizesIsTriedOnceMore() {
        List<int[]> wide = sizes(1920, 1080, 1280, 720);
        StreamSizes small = StreamSizes.of(wide, wide).smaller();
        expect(new int[] {640, 480}, new int[] {640, 480}, small);
        assertNull(small.smaller());
        List<int[]> all = sizes(1440, 1080, 640, 480);
        expect(new int[] {640, 480}, new int[] {640, 480}, StreamSizes.of(all, all).smaller());
    }

    @Test
    public void aPointOfTheViewIsFoundInTheImage() {
        for (boolean mirrored : new boolean[] {false, true}) {
            ViewFit fit = ViewFit.inside(300, 400, 1000, 500, mirrored);
            assertEquals(0.25f, fit.acrossAt(fit.x(75)), 1e-6f);
            assertEquals(0.75f, fit.downAt(fit.y(300)), 1e-6f);
        }
    }

    @Test
    public void zoomCropsTheCentre() {
        assertArrayEquals(new int[] {0, 0, 4000, 3000}, SensorArea.crop(4000, 3000, 1));
        assertArrayEquals(new int[] {1000, 750, 2000, 1500}, SensorArea.crop(4000, 3000, 2));
    }

    /** A sensor with as many pixels as the frames: the area is centred on the pixel that the point shows. */
    @Test
    public void focusFollowsTheRotation() {
        for (int degrees : new int[] {0, 90, 180, 270}) {
            float[] upright = turn(400, 120, 640, 480, degrees);
            boolean swapped = SensorRotation.swaps(degrees);
            int[] area = SensorArea.around(new int[] {0, 0, 640, 480}, 4 / 3.0, degrees,
                    upright[0] / (swapped ? 480 : 640), upright[1] / (swapped ? 640 : 480));
            assertArrayEquals(String.valueOf(degrees), new int[] {370, 90, 60, 60}, area);
        }
    }

    @Test
    public void focusStaysWithinTheCropAndKnowsItsShape() {
        int[] crop = {1000, 750, 2000, 1500};
        assertArrayEquals(new int[] {1000, 750, 187, 187}, SensorArea.around(crop, 4 / 3.0, 0, 0, 0));
        assertArrayEquals(new int[] {2813, 2063, 187, 187}, SensorArea.around(crop, 4 / 3.0, 0, 1, 1));
        // frames of 16:9 show three quarters of the height, frames of 1:1 three quarters of the width
        assertEquals(750 + 188 - 94, SensorArea.around(crop, 16 / 9.0, 0, 0.5, 0)[1], 1);
        assertEquals(1000 + 250 - 94, SensorArea.around(crop, 1, 0, 0, 0.5)[0], 1);
    }

    @Test
    public void aVideoHasAFrameEachTenthOfASecond() {
        assertEquals(1, VideoSteps.count(0));
        assertEquals(1, VideoSteps.count(100));
        assertEquals(16, VideoSteps.count(1501));
        assertEquals(Integer.MAX_VALUE, VideoSteps.count(Long.MAX_VALUE / 2));
        assertEquals(1_500_000, VideoSteps.microseconds(15));
    }
}
