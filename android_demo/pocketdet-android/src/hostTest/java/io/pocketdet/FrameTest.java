package io.pocketdet;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.nio.ByteBuffer;
import java.util.Random;
import org.junit.Test;

/** Conversion, crop and rotation beside a plain reference that looks up one pixel at a time. */
public class FrameTest {
    private static final int[] SIDES = {1, 2, 3, 5, 8, 31, 32, 33, 66};

    /** Red, green and blue of a pixel of the image as it stands. */
    private interface PixelSource {
        int rgb(int x, int y);
    }

    @Test
    public void yuvEqualsTheReference() {
        Random random = new Random(1);
        for (int width : SIDES) {
            for (int height : SIDES) {
                Planes planes = new Planes(random, width, height, 1 + random.nextInt(2));
                checkCropsAndTurns(random, planes.frame(), planes::rgb);
            }
        }
    }

    @Test
    public void nv21EqualsTheReference() {
        Random random = new Random(2);
        for (int width : SIDES) {
            for (int height : SIDES) {
                int pairs = (width + 1) / 2;
                byte[] data = new byte[3 + width * height + 2 * pairs * ((height + 1) / 2)];
                random.nextBytes(data);
                ByteBuffer buffer = Fixtures.direct(data);
                buffer.position(3);
                checkCropsAndTurns(random, Frame.nv21(buffer, width, height), (x, y) -> {
                    int chroma = 3 + width * height + y / 2 * 2 * pairs + x / 2 * 2;
                    return yuv(data[3 + y * width + x], data[chroma + 1], data[chroma]);
                });
                assertEquals(3, buffer.position());
            }
        }
    }

    @Test
    public void rgbaEqualsTheReference() {
        Random random = new Random(3);
        for (int width : SIDES) {
            for (int height : SIDES) {
                int stride = 4 * width + random.nextInt(7);
                byte[] data = new byte[stride * (height - 1) + 4 * width];
                random.nextBytes(data);
                checkCropsAndTurns(random, Frame.rgba(Fixtures.direct(data), width, height, stride), (x, y) -> {
                    int at = y * stride + 4 * x;
                    return (data[at] & 255) << 16 | (data[at + 1] & 255) << 8 | data[at + 2] & 255;
                });
            }
        }
    }

    /** Every colour of the cube's corners, edges and middle, so that both clamps are met. */
    @Test
    public void coloursEqualTheReference() {
        int[] values = {0, 1, 15, 16, 17, 127, 128, 129, 234, 235, 240, 254, 255};
        int clamped = 0;
        for (int luma : values) {
            for (int u : values) {
                for (int v : values) {
                    ByteBuffer data = Fixtures.direct(new byte[] {(byte) luma, (byte) v, (byte) u});
                    byte[] rgb = Frame.nv21(data, 1, 1).rgb();
                    int expected = yuv((byte) luma, (byte) u, (byte) v);
                    assertEquals(expected, (rgb[0] & 255) << 16 | (rgb[1] & 255) << 8 | rgb[2] & 255);
                    clamped += rgb[0] == 0 || rgb[0] == -1 ? 1 : 0;
                }
            }
        }
        assertTrue(clamped > 100);
        byte[] grey = Frame.nv21(Fixtures.direct(new byte[] {77, (byte) 128, (byte) 128}), 1, 1).rgb();
        assertArrayEquals(new byte[] {77, 77, 77}, grey);
    }

    @Test
    public void whatCannotBeIsRefused() {
        ByteBuffer small = ByteBuffer.allocateDirect(99);
        refused("direct buffer", () -> Frame.rgba(ByteBuffer.allocate(400), 10, 10, 40));
        refused("expected 400 bytes", () -> Frame.rgba(small, 10, 10, 40));
        refused("found 0 x 10", () -> Frame.rgba(small, 0, 10, 40));
        refused("row stride 39", () -> Frame.rgba(ByteBuffer.allocateDirect(400), 10, 10, 39));
        refused("row stride -40", () -> Frame.rgba(ByteBuffer.allocateDirect(400), 10, 10, -40));
        refused("expected 150 bytes", () -> Frame.nv21(small, 10, 10));
        refused("uvPixelStride=0", () -> Frame.yuv420(small, small, small, 8, 8, 8, 8, 0));
        refused("u: expected 25 bytes", () -> {
            ByteBuffer chroma = ByteBuffer.allocateDirect(24);
            Frame.yuv420(ByteBuffer.allocateDirect(100), chroma, chroma, 10, 10, 10, 5, 1);
        });
        Frame frame = Frame.rgba(ByteBuffer.allocateDirect(400), 10, 10, 40);
        refused("rotate 45", () -> frame.rotate(45));
        refused("rotate 360", () -> frame.rotate(360));
        refused("rotate -90", () -> frame.rotate(-90));
        int[][] crops = {{-1, 0, 5, 5}, {0, -1, 5, 5}, {0, 0, 11, 5}, {0, 0, 5, 11}, {5, 0, 5, 5}, {0, 6, 5, 5}};
        for (int[] c : crops) {
            refused("10 x 10", () -> frame.crop(c[0], c[1], c[2], c[3]));
        }
    }

    /** A size that is allowed fails later, for want of bytes: nothing large is made. */
    @Test
    public void sizesAroundTheLimits() {
        ByteBuffer small = ByteBuffer.allocateDirect(99);
        int[][] allowed = {{65_535, 1}, {1, 65_535}, {65_535, 4_096}, {16_384, 16_384}, {12_000, 9_000}};
        int[][] tooLarge = {{65_536, 1}, {1, 65_536}, {65_535, 4_097}, {16_385, 16_384}, {1 << 30, 1 << 30},
                {Integer.MAX_VALUE, 1}};
        for (int[] size : allowed) {
            int width = size[0];
            int height = size[1];
            refused("bytes for this size", () -> Frame.rgba(small, width, height, 4 * width));
            refused("bytes for this size", () -> Frame.nv21(small, width, height));
            refused("bytes for this size", () -> Frame.yuv420(small, small, small, width, height, width, width, 1));
        }
        for (int[] size : tooLarge) {
            String words = "expected at most 65535 pixels a side and 268435456 in all, found " + size[0] + " x ";
            refused(words + size[1], () -> Frame.rgba(small, size[0], size[1], 4));
            refused(words + size[1], () -> Frame.nv21(small, size[0], size[1]));
            refused(words + size[1], () -> Frame.yuv420(small, small, small, size[0], size[1], 8, 8, 1));
        }
    }

    @Test
    public void theLastRowOfACameraMayEndWithItsLastSample() {
        // U and V of one buffer, each missing the other's last byte
        ByteBuffer y = Fixtures.direct(new byte[] {1, 2, 3, 4});
        ByteBuffer one = Fixtures.direct(new byte[] {(byte) 200});
        ByteBuffer other = Fixtures.direct(new byte[] {50});
        byte[] rgb = Frame.yuv420(y, one, other, 2, 2, 2, 2, 2).rgb();
        int last = yuv((byte) 4, (byte) 200, (byte) 50);
        assertEquals(last & 255, rgb[11] & 255);
    }

    private static void refused(String words, org.junit.function.ThrowingRunnable work) {
        String message = assertThrows(ImageException.class, work).getMessage();
        assertTrue(message, message.contains(words));
    }

    private static void checkCropsAndTurns(Random random, Frame whole, PixelSource reference) {
        for (int turns = 0; turns < 4; turns++) {
            check(whole.rotate(90 * turns), turned(reference, whole.width(), whole.height(), turns));
            Frame frame = whole;
            PixelSource image = reference;
            for (int step = 0; step < 3; step++) { // crop and turn by turns, each on what the last left
                int left = random.nextInt(frame.width());
                int top = random.nextInt(frame.height());
                int right = left + 1 + random.nextInt(frame.width() - left);
                int bottom = top + 1 + random.nextInt(frame.height() - top);
                PixelSource before = image;
                frame = frame.crop(left, top, right, bottom);
                PixelSource part = (x, y) -> before.rgb(x + left, y + top);
                image = turned(part, frame.width(), frame.height(), turns);
                frame = frame.rotate(90 * turns);
            }
            check(frame, image);
        }
    }

    private static PixelSource turned(PixelSource image, int width, int height, int turns) {
        if (turns == 0) {
            return image;
        }
        // a quarter turn clockwise: the new row 0 is the old column 0 from the bottom up
        return turned((x, y) -> image.rgb(y, height - 1 - x), height, width, turns - 1);
    }

    private static void check(Frame frame, PixelSource expected) {
        byte[] rgb = frame.rgb();
        assertEquals(3 * frame.width() * frame.height(), rgb.length);
        for (int y = 0; y < frame.height(); y++) {
            for (int x = 0; x < frame.width(); x++) {
                int at = 3 * (y * frame.width() + x);
                int found = (rgb[at] & 255) << 16 | (rgb[at + 1] & 255) << 8 | rgb[at + 2] & 255;
                if (expected.rgb(x, y) != found) {
                    assertEquals("pixel " + x + ", " + y, expected.rgb(x, y), found);
                }
            }
        }
    }

    /** docs/reference/definitions.md, "Resize". */
    private static int yuv(byte luma, byte u, byte v) {
        int y = luma & 255;
        int cb = (u & 255) - 128;
        int cr = (v & 255) - 128;
        int red = y + Math.floorDiv(91881 * cr + 32768, 65536);
        int green = y - Math.floorDiv(22554 * cb + 46802 * cr + 32768, 65536);
        int blue = y + Math.floorDiv(116130 * cb + 32768, 65536);
        return clamp(red) << 16 | clamp(green) << 8 | clamp(blue);
    }

    private static int clamp(int value) {
        return Math.max(0, Math.min(255, value));
    }

    /** Three planes of noise with gaps at the ends of rows. */
    private static final class Planes {
        private final int width;
        private final int height;
        private final int lumaStride;
        private final int chromaStride;
        private final int step;
        private final byte[] luma;
        private final byte[] u;
        private final byte[] v;

        Planes(Random random, int width, int height, int step) {
            this.width = width;
            this.height = height;
            this.step = step;
            int across = (width + 1) / 2;
            int down = (height + 1) / 2;
            lumaStride = width + random.nextInt(9);
            chromaStride = step * across + random.nextInt(9);
            luma = new byte[lumaStride * (height - 1) + width];
            u = new byte[chromaStride * (down - 1) + step * (across - 1) + 1];
            v = new byte[u.length];
            random.nextBytes(luma);
            random.nextBytes(u);
            random.nextBytes(v);
        }

        Frame frame() {
            return Frame.yuv420(Fixtures.direct(luma), Fixtures.direct(u), Fixtures.direct(v), width, height,
                    lumaStride, chromaStride, step);
        }

        int rgb(int x, int y) {
            int at = y / 2 * chromaStride + x / 2 * step;
            return yuv(luma[y * lumaStride + x], u[at], v[at]);
        }
    }
}
