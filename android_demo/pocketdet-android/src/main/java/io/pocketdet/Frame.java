package io.pocketdet;

import java.nio.ByteBuffer;

/**
 * A view of an image in direct byte buffers, with strides, crop and rotation. Nothing is copied: the buffers must not
 * change (a camera's image must stay open) while the frame is in use. Pixels start at each buffer's position.
 * Immutable.
 *
 * <p>YUV is full-range BT.601 in integer arithmetic (docs/reference/definitions.md, "Resize"). In an image with an odd
 * side, the last chroma sample belongs to one luma pixel.
 */
public final class Frame {
    /** Maximum number of pixels of an image, as in Python and C++. */
    public static final int MAX_PIXELS = 1 << 28;

    /** Maximum number of pixels per side. */
    public static final int MAX_SIDE = 65_535;

    /**
     * Former name of {@link #MAX_PIXELS}.
     *
     * @deprecated use {@link #MAX_PIXELS}
     */
    @Deprecated public static final int MOST_PIXELS = MAX_PIXELS;

    /**
     * Former name of {@link #MAX_SIDE}.
     *
     * @deprecated use {@link #MAX_SIDE}
     */
    @Deprecated public static final int MOST_PIXELS_A_SIDE = MAX_SIDE;

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
     * Creates a frame of RGBA pixels; alpha is ignored.
     *
     * @param pixels direct buffer with 4 bytes per pixel, red first
     * @param rowStride distance of rows in bytes
     * @throws ImageException for an invalid size, stride or buffer
     */
    public static Frame rgba(ByteBuffer pixels, int width, int height, int rowStride) {
        checkSize(width, height);
        ByteBuffer plane = plane("pixels", pixels, height, 4L * width, rowStride);
        return new Frame(plane, plane, plane, new int[] {RGBA, rowStride, 0, 0}, 0, 0, width, height, 0);
    }

    /**
     * Creates a frame of the three planes of Android's YUV_420_888. The pixel stride of luma is 1.
     *
     * @param yRowStride row stride of luma in bytes
     * @param uvRowStride row stride of chroma in bytes
     * @param uvPixelStride pixel stride of chroma in bytes
     * @throws ImageException for an invalid size, stride or buffer
     */
    public static Frame yuv420(ByteBuffer y, ByteBuffer u, ByteBuffer v, int width, int height, int yRowStride,
            int uvRowStride, int uvPixelStride) {
        checkSize(width, height);
        int across = (width + 1) / 2;
        int down = (height + 1) / 2;
        ByteBuffer luma = plane("y", y, height, width, yRowStride);
        if (uvPixelStride < 1) {
            throw new ImageException("uvPixelStride=" + uvPixelStride + ": expected 1 or more");
        }
        long row = (long) (across - 1) * uvPixelStride + 1; // the last row ends with its last sample
        ByteBuffer blue = plane("u", u, down, row, uvRowStride);
        ByteBuffer red = plane("v", v, down, row, uvRowStride);
        int[] format = {YUV, yRowStride, uvRowStride, uvPixelStride};
        return new Frame(luma, blue, red, format, 0, 0, width, height, 0);
    }

    /**
     * Creates a frame of NV21 data: contiguous luma rows, then rows of (V, U) pairs, one per two luma rows.
     *
     * @throws ImageException for an invalid size or buffer
     */
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

    /** Returns the width of the cropped and rotated image in pixels. */
    public int width() {
        return turns % 2 == 0 ? across : down;
    }

    /** Returns the height of the cropped and rotated image in pixels. */
    public int height() {
        return turns % 2 == 0 ? down : across;
    }

    /**
     * Returns the part from (left, top) to (right, bottom), exclusive, in pixels of this cropped and rotated frame.
     *
     * @throws ImageException if the part is empty or exceeds the image
     */
    public Frame crop(int left, int top, int right, int bottom) {
        if (left < 0 || top < 0 || right > width() || bottom > height() || left >= right || top >= bottom) {
            throw new ImageException("crop (" + left + ", " + top + ", " + right + ", " + bottom
                    + "): expected a part of an image of " + width() + " x " + height());
        }
        int[] margins = {left, top, width() - right, height() - bottom}; // clockwise from the left
        int[] unturned = new int[4];
        for (int side = 0; side < 4; side++) {
            unturned[(side + 4 - turns) % 4] = margins[side];
        }
        return new Frame(this, this.left + unturned[0], this.top + unturned[1], across - unturned[0] - unturned[2],
                down - unturned[1] - unturned[3], turns);
    }

    /**
     * Returns this frame rotated clockwise.
     *
     * @param degreesClockwise 0, 90, 180 or 270
     * @throws ImageException for another angle
     */
    public Frame rotate(int degreesClockwise) {
        if (degreesClockwise % 90 != 0 || degreesClockwise < 0 || degreesClockwise > 270) {
            throw new ImageException("rotate " + degreesClockwise + ": expected 0, 90, 180 or 270 degrees");
        }
        return new Frame(this, left, top, across, down, (turns + degreesClockwise / 90) % 4);
    }

    /** Returns the cropped and rotated image as packed RGB rows. */
    public byte[] rgb() {
        Native.load();
        return Native.rgb(first, second, third, layout());
    }

    /** Returns format, strides, crop and rotation for the native library. */
    int[] layout() {
        return new int[] {format[0], format[1], format[2], format[3], left, top, across, down, turns};
    }

    /**
     * Checks an image size against the limits.
     *
     * @throws ImageException if the size is invalid or too large
     */
    public static void checkSize(int width, int height) {
        if (width < 1 || height < 1) {
            throw new ImageException("expected an image with pixels, found " + width + " x " + height);
        }
        if (width > MAX_SIDE || height > MAX_SIDE || (long) width * height > MAX_PIXELS) {
            throw new ImageException("expected at most " + MAX_SIDE + " pixels a side and " + MAX_PIXELS
                    + " in all, found " + width + " x " + height + "; make the image smaller");
        }
    }

    /** Returns a view of the buffer from its position; checks that it has `down` rows of `row` bytes. */
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
            throw new ImageException(name + ": expected a direct buffer, found one on the Java heap; copy the image"
                    + " into ByteBuffer.allocateDirect(...) once");
        }
        if (buffer.remaining() < bytes) {
            throw new ImageException(name + ": expected " + bytes + " bytes for this size and these strides, found "
                    + buffer.remaining());
        }
    }
}
