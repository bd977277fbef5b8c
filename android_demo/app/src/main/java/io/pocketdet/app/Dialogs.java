package io.pocketdet.app;

import android.app.Activity;
import android.app.AlertDialog;
import android.view.View;
import android.view.ViewGroup;
import android.widget.ArrayAdapter;
import android.widget.CheckBox;
import android.widget.LinearLayout;
import android.widget.RadioButton;
import android.widget.RadioGroup;
import android.widget.ScrollView;
import android.widget.SeekBar;
import android.widget.TextView;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.Choice;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;

/** Questions to the user. */
final class Dialogs {
    private static final int SCORE_STEPS = 20;

    private Dialogs() {
    }

    static void failure(Activity activity, String sentence) {
        new AlertDialog.Builder(activity)
                .setTitle(R.string.failed_title)
                .setMessage(sentence)
                .setPositiveButton(R.string.close, null)
                .show();
    }

    /** All bundles; those that cannot be used are there with the reason, and cannot be chosen. And a way to add one. */
    static void models(Activity activity, BundleCatalog catalog, BundleEntry present, Consumer<BundleEntry> chosen,
            Runnable adding) {
        List<BundleEntry> entries = catalog.entries();
        AlertDialog.Builder dialog = new AlertDialog.Builder(activity)
                                             .setTitle(R.string.picker_model)
                                             .setNeutralButton(R.string.picker_add, (shown, which) -> adding.run())
                                             .setNegativeButton(R.string.close, null);
        if (entries.isEmpty()) {
            String folder = String.valueOf(new Bundles(activity).pushed());
            dialog.setMessage(activity.getString(R.string.alarm_bundles, folder)).show();
            return;
        }
        int checked = -1;
        for (int i = 0; i < entries.size(); i++) {
            checked = present != null && entries.get(i).id().equals(present.id()) ? i : checked;
        }
        dialog.setSingleChoiceItems(new Entries(activity, entries), checked, (shown, i) -> {
                  shown.dismiss();
                  chosen.accept(entries.get(i));
              }).show();
    }

    /** Arithmetic, threads and cores, used when the dialog is closed by its button; the least score, used at once. */
    static void options(
            Activity activity, Choice present, float score, Consumer<Float> scored, Consumer<Choice> chosen) {
        String asBundle = activity.getString(R.string.options_as_bundle);
        int pad = (int) (20 * activity.getResources().getDisplayMetrics().density);
        LinearLayout column = new LinearLayout(activity);
        column.setOrientation(LinearLayout.VERTICAL);
        column.setPadding(pad, pad / 2, pad, 0);
        RadioGroup precisions = group(column, R.string.options_precision, Choice.PRECISIONS, present.precision,
                name -> name.isEmpty() ? asBundle : name);
        RadioGroup threads = group(column, R.string.options_threads,
                Choice.THREADS.subList(0, DetectorWorker.maxThreads()), present.threads, String::valueOf);
        slider(column, asBundle, score, scored);
        CheckBox bigCores = new CheckBox(activity);
        bigCores.setText(R.string.options_big_cores);
        bigCores.setChecked(present.bigCores);
        column.addView(bigCores);
        ScrollView scroll = new ScrollView(activity);
        scroll.addView(column);
        new AlertDialog.Builder(activity)
                .setTitle(R.string.menu_options)
                .setView(scroll)
                .setPositiveButton(R.string.close,
                        (dialog, which)
                                -> chosen.accept(new Choice(Choice.PRECISIONS.get(precisions.getCheckedRadioButtonId()),
                                        Choice.THREADS.get(Math.max(0, threads.getCheckedRadioButtonId())),
                                        bigCores.isChecked())))
                .show();
    }

    /** One question with its answers; the identifier of each button is the place of its value. */
    private static <T> RadioGroup group(
            LinearLayout column, int title, List<T> values, T present, Function<T, String> text) {
        TextView heading = new TextView(column.getContext());
        heading.setText(title);
        column.addView(heading);
        RadioGroup group = new RadioGroup(column.getContext());
        for (int i = 0; i < values.size(); i++) {
            RadioButton button = new RadioButton(column.getContext());
            button.setId(i);
            button.setText(text.apply(values.get(i)));
            group.addView(button);
        }
        group.check(values.indexOf(present));
        column.addView(group);
        return group;
    }

    private static void slider(LinearLayout column, String asBundle, float score, Consumer<Float> scored) {
        TextView heading = new TextView(column.getContext());
        SeekBar bar = new SeekBar(column.getContext());
        bar.setMax(SCORE_STEPS);
        bar.setProgress(Math.round(score * SCORE_STEPS));
        Consumer<Float> show = next
                -> heading.setText(column.getContext().getString(
                        R.string.options_score, next == 0 ? asBundle : Texts.decimals(next)));
        show.accept(score);
        bar.setOnSeekBarChangeListener(new SeekBar.OnSeekBarChangeListener() {
            @Override
            public void onProgressChanged(SeekBar moved, int step, boolean byUser) {
                show.accept(step / (float) SCORE_STEPS);
                scored.accept(step / (float) SCORE_STEPS);
            }

            @Override
            public void onStartTrackingTouch(SeekBar moved) {
            }

            @Override
            public void onStopTrackingTouch(SeekBar moved) {
            }
        });
        column.addView(heading);
        column.addView(bar);
    }

    private static final class Entries extends ArrayAdapter<BundleEntry> {
        Entries(Activity activity, List<BundleEntry> entries) {
            super(activity, android.R.layout.simple_list_item_single_choice, entries);
        }

        @Override
        public boolean areAllItemsEnabled() {
            return false;
        }

        @Override
        public boolean isEnabled(int i) {
            return getItem(i).isUsable();
        }

        @Override
        public View getView(int i, View old, ViewGroup parent) {
            TextView view = (TextView) super.getView(i, old, parent);
            view.setText(Texts.entry(getContext(), getItem(i)));
            view.setEnabled(isEnabled(i));
            view.setSingleLine(false);
            return view;
        }
    }
}
