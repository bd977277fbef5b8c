package io.pocketdet.app.logic;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.json.JSONArray;
import org.json.JSONObject;

/** What a screen shows of the document that a benchmark writes. It decides nothing: `pocketdet bench` does. */
public final class BenchSummary {
    private static final int SHOWN_LAYERS = 15;

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

    /** The slowest layers, "stage name: milliseconds" of each one's median; none unless layers were timed. */
    public final List<String> slowestLayers;

    private BenchSummary(JSONObject document) {
        bundle = required(document, String.class, "bundle", "name");
        engine = required(document, String.class, "engine", "ncnn").split(" \\(", 2)[0];
        precisionAsked = required(document, String.class, "engine", "precision_asked");
        precision = required(document, String.class, "engine", "precision");
        JSONArray names = required(document, JSONArray.class, "stages");
        stages = new ArrayList<>();
        for (int k = 0; k < names.length(); k++) {
            stages.add(names.optString(k));
        }
        JSONArray rows = required(document, JSONArray.class, "samples", "milliseconds");
        frames = rows.length();
        double[] totals = new double[frames];
        double[][] columns = new double[stages.size()][frames];
        for (int i = 0; i < frames; i++) {
            JSONArray row = rows.optJSONArray(i);
            for (int k = 0; k < columns.length; k++) {
                double time = row == null ? Double.NaN : row.optDouble(k);
                if (Double.isNaN(time)) {
                    throw new IllegalArgumentException("frame " + i + " has no time for stage " + stages.get(k));
                }
                columns[k][i] = time;
                totals[i] += time;
            }
        }
        stageMedians = new double[columns.length];
        for (int k = 0; k < columns.length; k++) {
            stageMedians[k] = FrameStats.percentile(columns[k], 50);
        }
        median = FrameStats.percentile(totals, 50);
        p90 = FrameStats.percentile(totals, 90);
        slowestLayers = slowest(document.optJSONObject("layers"));
        JSONArray cores = required(document, JSONArray.class, "affinity");
        cpu = cores.length() == 1 ? cores.optInt(0, -1) : -1;
    }

    /** Throws IllegalArgumentException for a text that is not such a document. */
    public static BenchSummary parse(String document) {
        return new BenchSummary(Documents.parse(document));
    }

    public double fps() {
        return 1000 / median;
    }

    private static List<String> slowest(JSONObject layers) {
        List<String> lines = new ArrayList<>();
        if (layers == null) {
            return lines;
        }
        JSONArray names = required(layers, JSONArray.class, "names");
        JSONArray rows = required(layers, JSONArray.class, "nanoseconds");
        Map<Integer, Double> medians = new HashMap<>();
        for (int k = 0; k < names.length(); k++) {
            double[] times = new double[rows.length()];
            for (int i = 0; i < times.length; i++) {
                times[i] = rows.optJSONArray(i) == null ? Double.NaN : rows.optJSONArray(i).optDouble(k);
            }
            medians.put(k, FrameStats.percentile(times, 50) / 1e6);
        }
        List<Integer> order = new ArrayList<>(medians.keySet());
        order.sort((one, other) -> Double.compare(medians.get(other), medians.get(one)));
        for (int k : order.subList(0, Math.min(SHOWN_LAYERS, order.size()))) {
            JSONObject name = names.optJSONObject(k);
            lines.add(String.format(
                    Locale.getDefault(), "%s %s: %.3f", text(name, "stage"), text(name, "name"), medians.get(k)));
        }
        return lines;
    }

    private static String text(JSONObject object, String name) {
        return object == null ? "" : object.optString(name);
    }

    private static <T> T required(JSONObject document, Class<T> type, String... names) {
        T found = Documents.find(document, type, names);
        if (found == null) {
            throw new IllegalArgumentException("the document has no " + String.join(".", names));
        }
        return found;
    }
}
