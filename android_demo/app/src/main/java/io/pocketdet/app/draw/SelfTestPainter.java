package io.pocketdet.app.draw;

import java.util.List;
import java.util.Locale;

/** The self-test: one row for each stage of the golden image, and the verdict above them. */
public final class SelfTestPainter {
    /** One stage beside PyTorch's values. */
    public static final class Row {
        public final String stage;
        public final boolean ok;
        public final double maxAbs;
        public final double tolerance;
        public final String note;
        public final boolean proved;

        /** `proved`: whether there was anything to compare; if not, the row has neither colour of a verdict. */
        public Row(String stage, boolean ok, double maxAbs, double tolerance, String note, boolean proved) {
            this.stage = stage;
            this.ok = ok;
            this.proved = proved;
            this.maxAbs = maxAbs;
            this.tolerance = tolerance;
            this.note = note;
        }
    }

    private static final float MARGIN = 16;
    private static final float PAD = 14;
    private static final float ROW = 44;

    private SelfTestPainter() {
    }

    /** Paints the screen and returns where it ends. `title` and `verdict` are finished sentences. */
    public static float paint(Surface surface, String title, String verdict, List<Row> rows, Theme theme) {
        float unit = theme.unit;
        float left = (MARGIN + PAD) * unit;
        float right = surface.width() - left;
        boolean ok = true;
        for (Row row : rows) {
            ok = ok && row.ok;
        }
        surface.fill(0, 0, surface.width(), surface.height(), 0, theme.background);
        List<String> lines = Words.wrap(surface, verdict, 14 * unit, right - left);
        float y = MARGIN * unit;
        float bottom = y + (2 * PAD + 16 + 20 * lines.size()) * unit;
        int colour = ok ? theme.good : theme.bad;
        surface.fill(MARGIN * unit, y, surface.width() - MARGIN * unit, bottom, 12 * unit, colour);
        y += (PAD + 14) * unit;
        String fitted = Words.fit(surface, title, 18 * unit, true, right - left);
        surface.text(fitted, left, y, 18 * unit, true, Palette.textOn(colour));
        y += 4 * unit;
        for (String line : lines) {
            y += 20 * unit;
            surface.text(line, left, y, 14 * unit, false, Palette.textOn(colour));
        }
        y = bottom + MARGIN * unit;
        surface.fill(MARGIN * unit, y, surface.width() - MARGIN * unit, y + (PAD + ROW * rows.size()) * unit, 12 * unit,
                theme.card);
        y += PAD / 2 * unit;
        for (Row row : rows) {
            paintRow(surface, row, theme, left, right, y);
            y += ROW * unit;
        }
        return y + (PAD / 2 + MARGIN) * unit;
    }

    private static void paintRow(Surface surface, Row row, Theme theme, float left, float right, float y) {
        float unit = theme.unit;
        float dot = 6 * unit;
        float middle = y + ROW * unit / 2;
        int verdict = row.proved ? theme.good : theme.track;
        surface.fill(left, middle - dot, left + 2 * dot, middle + dot, dot, row.ok ? verdict : theme.bad);
        float x = left + 22 * unit;
        String limit = number(row.maxAbs) + " / " + number(row.tolerance);
        float end = right - surface.textWidth(limit, 13 * unit, !row.ok);
        float baseline = row.note.isEmpty() ? middle + 5 * unit : y + 20 * unit;
        surface.text(limit, end, baseline, 13 * unit, !row.ok, row.ok ? theme.muted : theme.bad);
        String stage = Words.fit(surface, row.stage, 15 * unit, !row.ok, end - x - 8 * unit);
        surface.text(stage, x, baseline, 15 * unit, !row.ok, theme.text);
        if (!row.note.isEmpty()) {
            String note = Words.fit(surface, row.note, 12 * unit, false, right - x);
            surface.text(note, x, y + 37 * unit, 12 * unit, false, theme.muted);
        }
    }

    private static String number(double value) {
        return value == 0 ? "0" : String.format(Locale.getDefault(), "%.2g", value);
    }
}
