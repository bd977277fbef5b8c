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
import android.widget.TextView;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.Choice;
import java.util.List;
import java.util.function.Consumer;

/** Questions to the user. */
final class Dialogs {
    private Dialogs() {}

    static void failure(Activity activity, String sentence) {
        new AlertDialog.Builder(activity)
                .setTitle(R.string.failed_title)
                .setMessage(sentence)
                .setPositiveButton(R.string.close, null)
                .show();
    }

    /** All bundles; those that cannot be used are there with the reason, and cannot be chosen. */
    static void models(Activity activity, BundleCatalog catalog, BundleEntry present, Consumer<BundleEntry> chosen) {
        List<BundleEntry> entries = catalog.entries();
        if (entries.isEmpty()) {
            String folder = String.valueOf(new Bundles(activity).pushed());
            failure(activity, activity.getString(R.string.alarm_bundles, folder));
            return;
        }
        int checked = -1;
        for (int i = 0; i < entries.size(); i++) {
            checked = present != null && entries.get(i).id().equals(present.id()) ? i : checked;
        }
        new AlertDialog.Builder(activity)
                .setTitle(R.string.picker_model)
                .setSingleChoiceItems(
                        new Entries(activity, entries),
                        checked,
                        (dialog, i) -> {
                            dialog.dismiss();
                            chosen.accept(entries.get(i));
                        })
                .setNegativeButton(R.string.close, null)
                .show();
    }

    /** Arithmetic, threads and cores; the choice is used when the dialog is closed by its button. */
    static void options(Activity activity, Choice present, Consumer<Choice> chosen) {
        int pad = (int) (20 * activity.getResources().getDisplayMetrics().density);
        LinearLayout column = new LinearLayout(activity);
        column.setOrientation(LinearLayout.VERTICAL);
        column.setPadding(pad, pad / 2, pad, 0);
        TextView title = new TextView(activity);
        title.setText(R.string.options_precision);
        column.addView(title);
        RadioGroup precisions = new RadioGroup(activity);
        for (int i = 0; i < Choice.PRECISIONS.size(); i++) {
            String name = Choice.PRECISIONS.get(i);
            add(precisions, i, name.isEmpty() ? activity.getString(R.string.options_as_bundle) : name);
        }
        precisions.check(Choice.PRECISIONS.indexOf(present.precision));
        column.addView(precisions);
        RadioGroup threads = new RadioGroup(activity);
        for (int i = 0; i < Choice.THREADS.size(); i++) {
            add(threads, i, activity.getString(R.string.options_threads, Choice.THREADS.get(i)));
        }
        threads.check(Choice.THREADS.indexOf(present.threads));
        column.addView(threads);
        CheckBox bigCores = new CheckBox(activity);
        bigCores.setText(R.string.options_big_cores);
        bigCores.setChecked(present.bigCores);
        column.addView(bigCores);
        ScrollView scroll = new ScrollView(activity);
        scroll.addView(column);
        new AlertDialog.Builder(activity)
                .setTitle(R.string.menu_options)
                .setView(scroll)
                .setPositiveButton(
                        R.string.close,
                        (dialog, which) ->
                                chosen.accept(
                                        new Choice(
                                                Choice.PRECISIONS.get(precisions.getCheckedRadioButtonId()),
                                                Choice.THREADS.get(threads.getCheckedRadioButtonId()),
                                                bigCores.isChecked())))
                .show();
    }

    private static void add(RadioGroup group, int id, String text) {
        RadioButton button = new RadioButton(group.getContext());
        button.setId(id);
        button.setText(text);
        group.addView(button);
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
