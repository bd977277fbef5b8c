package io.pocketdet.app.logic;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The status line: what runs, how long each part takes, and the camera's rate apart from that of inference. */
public final class StatusText {
    private static final String UNKNOWN = "\u2013";

    private StatusText() {
    }

    /**
     * Lines from the top. `partMs` is before, in and after the networks, of the last frame.
     *
     * @param formats in the user's language, for texts: the model's name, its precision, a number of threads, a note on
     *     cores; milliseconds before, in and after the networks, a note on RoIs; the median, the count of frames it is
     *     of, and frames a second of inference and camera
     */
    public static List<String> lines(String[] formats, String model, String precision, int threads, String cores,
            double[] partMs, String rois, FrameStats stats, double cameraFps) {
        List<String> lines = new ArrayList<>();
        lines.add(String.format(formats[0], model, precision, String.valueOf(threads), cores).trim());
        lines.add(String.format(formats[1], number(partMs[0]), number(partMs[1]), number(partMs[2]), rois).trim());
        lines.add(String.format(formats[2], number(stats.percentile(50)), String.valueOf(stats.count()),
                number(stats.fps()), number(cameraFps)));
        return lines;
    }

    private static String number(double value) {
        boolean finite = !Double.isNaN(value) && !Double.isInfinite(value);
        return finite ? String.format(Locale.getDefault(), "%.1f", value) : UNKNOWN;
    }
}
