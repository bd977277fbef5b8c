package io.pocketdet.app;

import android.content.Context;
import io.pocketdet.app.draw.Theme;

/** The colours of the day or of the night, as the system has it. */
final class Themes {
    private Themes() {
    }

    static Theme of(Context context) {
        return new Theme(context.getResources().getDisplayMetrics().density, context.getColor(R.color.background),
                context.getColor(R.color.card), context.getColor(R.color.text), context.getColor(R.color.muted),
                context.getColor(R.color.track), context.getColor(R.color.accent), context.getColor(R.color.bad));
    }
}
