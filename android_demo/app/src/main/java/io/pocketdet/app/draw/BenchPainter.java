package io.pocketdet.app.draw;

import io.pocketdet.app.logic.BenchSummary;
import java.util.List;
import java.util.Locale;

/** The benchmark screen: the median large, the median of each stage as a bar, every frame as a point. */
public final class BenchPainter {
    /** Words of the screen in the user's language. */
    public static final class Labels {
        public final String details;
        public final String milliseconds;
        public final String rates;
        public final String stages;
        public final String frames;
        public final String footnote;

        /**
         * `details` is a finished line such as precision, core and engine, `rates` one such as fps and p90; the others
         * are the unit, two headings, and a note at the foot.
         */
        public Labels(
                String details, String milliseconds, String rates, String stages, String frames, String footnote) {
            this.details = details;
            this.milliseconds = milliseconds;
            this.rates = rates;
            this.stages = stages;
            this.frames = frames;
            this.footnote = footnote;
        }
    }

    private static final float MARGIN = 16;
    private static final float PAD = 14;
    private static final float ROW = 30;
    private static final float CHART = 110;

    private final Surface surface;
    private final Theme theme;
    private final float unit;
    private final float left;
    private final float right;
    private float y;

    private BenchPainter(Surface surface, Theme theme) {
        this.surface = surface;
        this.theme = theme;
        unit = theme.unit;
        left = (MARGIN + PAD) * unit;
        right = surface.width() - left;
        y = MARGIN * unit;
    }

    /** Paints the screen and returns where it ends, which may be below the surface. */
    public static float paint(Surface surface, BenchSummary summary, Labels labels, Theme theme) {
        surface.fill(0, 0, surface.width(), surface.height(), 0, theme.background);
        BenchPainter painter = new BenchPainter(surface, theme);
        painter.head(summary, labels);
        painter.stages(summary, labels);
        painter.frames(summary, labels);
        painter.note(labels.footnote);
        return painter.y;
    }

    private void head(BenchSummary summary, Labels labels) {
        card(122);
        line(summary.bundle, 20, 18, true, theme.text);
        line(labels.details, 20, 13, false, theme.muted);
        String number = String.format(Locale.getDefault(), "%.1f", summary.median);
        y += 54 * unit;
        surface.text(number, left, y, 46 * unit, true, theme.accent);
        float after = left + surface.textWidth(number, 46 * unit, true) + 6 * unit;
        surface.text(labels.milliseconds, after, y, 18 * unit, false, theme.muted);
        line(labels.rates, 24, 13, false, theme.text);
        y += (4 + PAD + MARGIN) * unit;
    }

    private void stages(BenchSummary summary, Labels labels) {
        card(24 + ROW * summary.stages.size());
        line(labels.stages, 14, 13, true, theme.muted);
        double longest = 1e-9;
        for (double milliseconds : summary.stageMedians) {
            longest = Math.max(longest, milliseconds);
        }
        for (int i = 0; i < summary.stages.size(); i++) {
            double milliseconds = summary.stageMedians[i];
            String number = String.format(Locale.getDefault(), "%.2f", milliseconds);
            y += ROW * unit;
            surface.text(summary.stages.get(i), left, y - 6 * unit, 14 * unit, false, theme.text);
            float end = right - surface.textWidth(number, 14 * unit, true);
            surface.text(number, end, y - 6 * unit, 14 * unit, true, theme.text);
            float width = (float) ((right - left) * milliseconds / longest);
            surface.fill(left, y, right, y + 4 * unit, 2 * unit, theme.track);
            surface.fill(left, y, left + Math.max(width, 4 * unit), y + 4 * unit, 2 * unit, theme.accent);
        }
        y += (10 + PAD + MARGIN) * unit;
    }

    private void frames(BenchSummary summary, Labels labels) {
        card(CHART + 26);
        line(labels.frames, 14, 13, true, theme.muted);
        float top = y + 12 * unit;
        y = top + CHART * unit;
        double most = 1e-9;
        for (double total : summary.totals) {
            most = Math.max(most, total);
        }
        most *= 1.1;
        chartLine(summary.median, most, top, theme.accent);
        chartLine(summary.p90, most, top, theme.muted);
        float dot = 1.6f * unit;
        for (int i = 0; i < summary.frames; i++) {
            float x = left + (right - left) * (i + 0.5f) / summary.frames;
            float height = height(summary.totals[i], most, top);
            surface.fill(x - dot, height - dot, x + dot, height + dot, dot, theme.accent & 0xB0FFFFFF);
        }
        y += (PAD + MARGIN) * unit;
    }

    private void chartLine(double milliseconds, double most, float top, int colour) {
        float height = height(milliseconds, most, top);
        surface.fill(left, height - 0.5f * unit, right, height + 0.5f * unit, 0, colour);
    }

    private float height(double milliseconds, double most, float top) {
        return (float) (top + CHART * unit * (1 - milliseconds / most));
    }

    private void note(String text) {
        List<String> lines = Words.wrap(surface, text, 12 * unit, right - left);
        for (String line : lines) {
            line(line, 16, 12, false, theme.muted);
        }
        y += MARGIN * unit;
    }

    private void card(float content) {
        float bottom = y + (2 * PAD + content) * unit;
        surface.fill(MARGIN * unit, y, surface.width() - MARGIN * unit, bottom, 12 * unit, theme.card);
        y += PAD * unit;
    }

    private void line(String text, float step, float size, boolean bold, int colour) {
        y += step * unit;
        surface.text(Words.fit(surface, text, size * unit, bold, right - left), left, y, size * unit, bold, colour);
    }
}
