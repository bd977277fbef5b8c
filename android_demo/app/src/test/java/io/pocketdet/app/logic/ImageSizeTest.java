package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.pocketdet.ImageException;
import org.junit.Test;

/** Sizes around the limits, by arithmetic alone. */
public class ImageSizeTest {
    @Test
    public void sidesAreDividedUntilTheyCanBeShown() {
        assertEquals(1, ImageSize.sampling(1, 1));
        assertEquals(1, ImageSize.sampling(2048, 2048));
        assertEquals(2, ImageSize.sampling(2_049, 10));
        assertEquals(8, ImageSize.sampling(12_000, 9_000));
        assertEquals(8, ImageSize.sampling(12_240, 16_320));
        assertEquals(32, ImageSize.sampling(65_535, 4_096));
        for (int side = 1; side <= 65_535; side += 97) {
            int shown = side / ImageSize.sampling(side, 1);
            assertTrue(side + " pixels", shown >= 1 && shown <= ImageSize.MOST_SHOWN);
        }
    }

    @Test
    public void whatNoDetectorTakesIsRefused() {
        int[][] sizes = {{65_536, 1}, {1, 65_536}, {65_535, 4_097}, {16_385, 16_384}, {0, 1}, {1 << 30, 1 << 30}};
        for (int[] size : sizes) {
            String message =
                    assertThrows(ImageException.class, () -> ImageSize.sampling(size[0], size[1])).getMessage();
            assertTrue(message, message.contains("found " + size[0] + " x " + size[1]));
        }
        assertEquals(8, ImageSize.sampling(16_384, 16_384));
    }
}
