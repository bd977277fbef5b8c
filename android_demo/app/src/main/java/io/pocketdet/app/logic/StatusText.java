package io.pocketdet.app.logic;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The status line: what runs, how long each part takes, and the camera's rate apart from that of inference. */
public final class StatusText {
    /** Formats in the user's language; all their arguments are texts. */
    public static final class Formats {
        final String model;
        final String times;
        final String rates;

        /**
         * @param model with the model's name, its precision, a number of threads and a note on cores
         * @param times with milliseconds before, in and after the networks
         * @param rates with the median, the count of frames it is of, and frames a second of inference and camera
         */
        public Formats(String model, String times, String rates) {
            this.model = model;
            this.times = times;
            this.rates = rates;
        }
    }

    private static final String UNKNOWN = "\u2013";

    private StatusText() {
    }

    /** Lines from the top. `partMs` is before, in and after the networks, of the last frame. */
    public static List<String> lines(Formats formats, String model, String precision, int threads, String cores,
            double[] partMs, FrameStats stats, double cameraFps) {
        List<String> lines = new ArrayList<>();
        lines.add(String.format(formats.model, model, precision, String.valueOf(threads), cores).trim());
        lines.add(String.format(formats.times, number(partMs[0]), number(partMs[1]), number(partMs[2])));
        lines.add(String.format(formats.rates, number(stats.percentile(50)), String.valueOf(stats.count()),
                number(stats.fps()), number(cameraFps)));
        return lines;
    }

    private static String number(double value) {
        boolean finite = !Double.isNaN(value) && !Double.isInfinite(value);
        return finite ? String.format(Locale.getDefault(), "%.1f", value) : UNKNOWN;
    }
}
