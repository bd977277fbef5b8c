package io.pocketdet.app.draw;

import java.util.ArrayList;
import java.util.List;

/** Text that must fit. */
final class Words {
    private Words() {
    }

    /** The text, cut and ended with an ellipsis if it is wider than {@code maxWidth}. */
    static String fit(Surface surface, String text, float size, boolean bold, float maxWidth) {
        if (surface.textWidth(text, size, bold) <= maxWidth) {
            return text;
        }
        for (int end = text.length() - 1; end > 0; end--) {
            String shorter = text.substring(0, end).trim() + "\u2026";
            if (surface.textWidth(shorter, size, bold) <= maxWidth) {
                return shorter;
            }
        }
        return "";
    }

    /** Lines broken at spaces; a word that is wider than {@code maxWidth} is cut. */
    static List<String> wrap(Surface surface, String text, float size, float maxWidth) {
        List<String> lines = new ArrayList<>();
        StringBuilder line = new StringBuilder();
        for (String word : text.trim().split("\\s+")) {
            String longer = line.length() == 0 ? word : line + " " + word;
            if (line.length() > 0 && surface.textWidth(longer, size, false) > maxWidth) {
                lines.add(line.toString());
                longer = word;
            }
            line.setLength(0);
            line.append(fit(surface, longer, size, false, maxWidth));
        }
        lines.add(line.toString());
        return lines;
    }
}
