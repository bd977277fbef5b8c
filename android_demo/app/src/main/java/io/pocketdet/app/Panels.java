package io.pocketdet.app;

import android.app.Activity;
import android.view.View;
import android.widget.Button;
import android.widget.TextView;
import java.util.List;

/** The texts of layout/screen.xml around an image: status at the bottom, notice at the top, alarm in the middle. */
final class Panels {
    private final Activity activity;
    private final Button action;

    Panels(Activity activity) {
        this.activity = activity;
        action = activity.findViewById(R.id.action);
    }

    /** Lines from the top; none for no status. */
    void setStatus(List<String> lines) {
        show(R.id.status, lines.isEmpty() ? null : String.join("\n", lines));
    }

    /** A message that is shown beside the boxes; null for none. */
    void setNotice(String sentence) {
        show(R.id.notice, sentence);
    }

    /** What is wrong and what to do; a null title for no alarm. */
    void setAlarm(String title, String message) {
        activity.findViewById(R.id.alarm).setVisibility(title == null ? View.GONE : View.VISIBLE);
        show(R.id.alarm_title, title);
        show(R.id.alarm_message, title == null ? null : message);
    }

    /** The label and action of the button; a label of 0 hides it. */
    void setAction(int label, Runnable tapped) {
        action.setVisibility(label == 0 ? View.GONE : View.VISIBLE);
        if (label != 0) {
            action.setText(label);
            action.setOnClickListener(view -> tapped.run());
        }
    }

    private void show(int id, String text) {
        TextView view = activity.findViewById(id);
        view.setVisibility(text == null ? View.GONE : View.VISIBLE);
        if (text != null && !text.contentEquals(view.getText())) { // a screen reader speaks each change
            view.setText(text);
        }
    }
}
