package io.pocketdet.app.logic;

import java.util.ArrayList;
import java.util.List;

/** What a screen shows of the document that a benchmark writes. It decides nothing: `pocketdet bench` does. */
public final class BenchSummary {
    public final String bundle;
    public final String engine;
    public final String precisionAsked;
    public final String precision;
    public final int frames;

    /** Milliseconds of whole frames. */
    public final double median;

    public final double p90;
    public final List<String> stages;

    /** The median of each stage in milliseconds. */
    public final double[] stageMedians;

    /** The only core that was allowed, or -1 if there were several. */
    public final int cpu;

    private BenchSummary(Object document) {
        bundle = text(document, "bundle", "name");
        engine = text(document, "engine", "ncnn").split(" \\(", 2)[0];
        precisionAsked = text(document, "engine", "precision_asked");
        precision = text(document, "engine", "precision");
        stages = new ArrayList<>();
        for (Object stage : list(document, "stages")) {
            stages.add(String.valueOf(stage));
        }
        List<?> rows = list(document, "samples", "milliseconds");
        frames = rows.size();
        double[] totals = new double[frames];
        double[][] columns = new double[stages.size()][frames];
        for (int i = 0; i < frames; i++) {
            List<?> row = rows.get(i) instanceof List ? (List<?>) rows.get(i) : new ArrayList<>();
            for (int k = 0; k < columns.length; k++) {
                Object value = k < row.size() ? row.get(k) : null;
                if (!(value instanceof Double)) {
                    throw new IllegalArgumentException("frame " + i + " has no time for stage " + stages.get(k));
                }
                columns[k][i] = (Double) value;
                totals[i] += columns[k][i];
            }
        }
        stageMedians = new double[columns.length];
        for (int k = 0; k < columns.length; k++) {
            stageMedians[k] = FrameStats.percentile(columns[k], 50);
        }
        median = FrameStats.percentile(totals, 50);
        p90 = FrameStats.percentile(totals, 90);
        List<?> cores = list(document, "affinity");
        cpu = cores.size() == 1 && cores.get(0) instanceof Double ? ((Double) cores.get(0)).intValue() : -1;
    }

    /** Throws IllegalArgumentException for a text that is not such a document. */
    public static BenchSummary parse(String document) {
        return new BenchSummary(Json.parse(document));
    }

    public double fps() {
        return 1000 / median;
    }

    private static String text(Object document, String... names) {
        return required(Json.find(document, String.class, names), names);
    }

    private static List<?> list(Object document, String... names) {
        return required(Json.find(document, List.class, names), names);
    }

    private static <T> T required(T found, String... names) {
        if (found == null) {
            throw new IllegalArgumentException("the document has no " + String.join(".", names));
        }
        return found;
    }
}
