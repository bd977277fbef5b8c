package io.pocketdet;

import java.nio.ByteBuffer;

/**
 * A picture in somebody else's memory: direct byte buffers, strides, and the part and rotation that a detector shall
 * see. Nothing is copied, so the buffers must stay as they are (a camera's image open) while the frame is in use.
 * Pixels start at each buffer's position. Immutable.
 *
 * YUV is full-range BT.601, as a camera's JPEG, in integers (docs/reference/definitions.md, "Resize"). A picture with
 * an odd side has its last chroma sample under one luma pixel.
 */
public final class Frame {
    /** The most pixels of an image. Python and C++ have the same limits. */
    public static final int MOST_PIXELS = 1 << 28;

    /** The most pixels of a side. */
    public static final int MOST_PIXELS_A_SIDE = 65_535;

    private static final int RGBA = 0;
    private static final int YUV = 1;

    final ByteBuffer first;
    final ByteBuffer second;
    final ByteBuffer third;
    private final int[] format; // kind, row stride, chroma row stride, chroma pixel stride
    private final int left;
    private final int top;
    private final int across; // of the crop, before rotation
    private final int down;
    private final int turns; // quarter turns clockwise

    private Frame(Frame planes, int left, int top, int across, int down, int turns) {
        this(planes.first, planes.second, planes.third, planes.format, left, top, across, down, turns);
    }

    private Frame(ByteBuffer first, ByteBuffer second, ByteBuffer third, int[] format, int left, int top, int across,
            int down, int turns) {
        this.first = first;
        this.second = second;
        this.third = third;
        this.format = format;
        this.left = left;
        this.top = top;
        this.across = across;
        this.down = down;
        this.turns = turns;
    }

    /**
     * Four bytes a pixel, red first; alpha is ignored.
     *
     * All of these throw {@link ImageException} for a size, stride or buffer that cannot be.
     */
    public static Frame rgba(ByteBuffer pixels, int width, int height, int rowStride) {
        checkSize(width, height);
        ByteBuffer plane = plane("pixels", pixels, height, 4L * width, rowStride);
        return new Frame(plane, plane, plane, new int[] {RGBA, rowStride, 0, 0}, 0, 0, width, height, 0);
    }

    /** The three planes of Android's YUV_420_888 with their strides in bytes; a row of luma has pixel stride 1. */
    public static Frame yuv420(ByteBuffer y, ByteBuffer u, ByteBuffer v, int width, int height, int yRowStride,
            int uvRowStride, int uvPixelStride) {
        checkSize(width, height);
        int across = (width + 1) / 2;
        int down = (height + 1) / 2;
        ByteBuffer luma = plane("y", y, height, width, yRowStride);
        if (uvPixelStride < 1) {
            throw new ImageException("uvPixelStride=" + uvPixelStride + ": expected 1 or more");
        }
        long row = (long) (across - 1) * uvPixelStride + 1; // a camera's last row ends with its last sample
        ByteBuffer blue = plane("u", u, down, row, uvRowStride);
        ByteBuffer red = plane("v", v, down, row, uvRowStride);
        int[] format = {YUV, yRowStride, uvRowStride, uvPixelStride};
        return new Frame(luma, blue, red, format, 0, 0, width, height, 0);
    }

    /** Luma rows without gaps, then rows of V, U pairs, one per two rows of luma. */
    public static Frame nv21(ByteBuffer data, int width, int height) {
        checkSize(width, height);
        int pairs = (width + 1) / 2;
        long luma = (long) width * height;
        long all = luma + 2L * pairs * ((height + 1) / 2);
        checkBuffer("data", data, all);
        ByteBuffer chroma = data.duplicate();
        chroma.position(data.position() + (int) luma);
        ByteBuffer v = chroma.slice();
        chroma.position(chroma.position() + 1);
        return yuv420(data, chroma.slice(), v, width, height, width, 2 * pairs, 2);
    }

    /** Pixels of the picture as cropped and rotated. */
    public int width() {
        return turns % 2 == 0 ? across : down;
    }

    public int height() {
        return turns % 2 == 0 ? down : across;
    }

    /** The part from (left, top) up to but without (right, bottom), in pixels of this picture as it stands. */
    public Frame crop(int left, int top, int right, int bottom) {
        if (left < 0 || top < 0 || right > width() || bottom > height() || left >= right || top >= bottom) {
            throw new ImageException("crop (" + left + ", " + top + ", " + right + ", " + bottom
                    + "): expected a part of a picture of " + width() + " x " + height());
        }
        int[] margins = {left, top, width() - right, height() - bottom}; // clockwise from the left
        int[] unturned = new int[4];
        for (int side = 0; side < 4; side++) {
            unturned[(side + 4 - turns) % 4] = margins[side];
        }
        return new Frame(this, this.left + unturned[0], this.top + unturned[1],
                across - unturned[0] - unturned[2], down - unturned[1] - unturned[3], turns);
    }

    /** The picture turned clockwise by 0, 90, 180 or 270 degrees. */
    public Frame rotate(int degreesClockwise) {
        if (degreesClockwise % 90 != 0 || degreesClockwise < 0 || degreesClockwise > 270) {
            throw new ImageException("rotate " + degreesClockwise + ": expected 0, 90, 180 or 270 degrees");
        }
        return new Frame(this, left, top, across, down, (turns + degreesClockwise / 90) % 4);
    }

    /** The picture as a detector sees it: packed red, green, blue rows, top first. */
    public byte[] rgb() {
        Native.load();
        return Native.rgb(first, second, third, layout());
    }

    /** What the native library must know beside the buffers. */
    int[] layout() {
        return new int[] {format[0], format[1], format[2], format[3], left, top, across, down, turns};
    }

    /** Throws {@link ImageException} for a size outside of the limits. */
    public static void checkSize(int width, int height) {
        if (width < 1 || height < 1) {
            throw new ImageException("expected an image with pixels, found " + width + " x " + height);
        }
        if (width > MOST_PIXELS_A_SIDE || height > MOST_PIXELS_A_SIDE || (long) width * height > MOST_PIXELS) {
            throw new ImageException("expected at most " + MOST_PIXELS_A_SIDE + " pixels a side and " + MOST_PIXELS
                    + " in all, found " + width + " x " + height + "; make the image smaller");
        }
    }

    /** A view of the buffer from its position, if it holds `down` rows of `row` bytes. */
    private static ByteBuffer plane(String name, ByteBuffer buffer, int down, long row, int rowStride) {
        if (rowStride < row && down > 1) {
            throw new ImageException(
                    "row stride " + rowStride + " of " + name + ": expected " + row + " or more for this width");
        }
        checkBuffer(name, buffer, (long) rowStride * (down - 1) + row);
        return buffer.slice();
    }

    private static void checkBuffer(String name, ByteBuffer buffer, long bytes) {
        if (!buffer.isDirect()) {
            throw new ImageException(name + ": expected a direct buffer, found one on the Java heap; copy the picture"
                    + " into ByteBuffer.allocateDirect(...) once");
        }
        if (buffer.remaining() < bytes) {
            throw new ImageException(name + ": expected " + bytes + " bytes for this size and these strides, found "
                    + buffer.remaining());
        }
    }
}
