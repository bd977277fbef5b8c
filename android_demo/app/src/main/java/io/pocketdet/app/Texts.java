package io.pocketdet.app;

import android.content.Context;
import io.pocketdet.BundleInfo;
import io.pocketdet.Detections;
import io.pocketdet.SelfTest;
import io.pocketdet.app.logic.AppState;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.BundleEntry;
import io.pocketdet.app.logic.StatusText;
import io.pocketdet.app.logic.ThermalState;
import java.io.File;
import java.util.Locale;

/** What the app says, in the user's language. */
final class Texts {
    private Texts() {
    }

    /** What an exception says, or at least which it is. */
    static String sentence(Context context, Throwable error) {
        if (error instanceof OutOfMemoryError) {
            return context.getString(R.string.failed_memory);
        }
        String message = error.getMessage();
        return message == null || message.isEmpty() ? error.getClass().getSimpleName() : message;
    }

    /** The formats of {@link StatusText}. */
    static String[] status(Context context) {
        return new String[] {context.getString(R.string.status_model), context.getString(R.string.status_times),
                context.getString(R.string.status_rates)};
    }

    /** A note on the proposals that the head classified; empty for a one-stage detector. */
    static String rois(Context context, Detections found) {
        return found.rois() == 0 ? "" : context.getString(R.string.status_rois, found.rois());
    }

    /** That a model is looked for or loaded; null if neither. */
    static String waiting(Context context, AppState state) {
        return state.model == AppState.Model.LOADING      ? context.getString(R.string.status_loading, state.entry.name)
                : state.model == AppState.Model.SEARCHING ? context.getString(R.string.status_searching)
                                                          : null;
    }

    /** Throttling, and how near the device is to severe throttling. */
    static String warmth(Context context, ThermalState warmth) {
        String percent = Float.isNaN(warmth.headroom) ? "\u2013" : String.valueOf(Math.round(100 * warmth.headroom));
        return context.getString(R.string.status_thermal, warmth.status.isEmpty() ? "\u2013" : warmth.status, percent);
    }

    /** Title and message of what keeps boxes from being shown; null if nothing does. */
    static String[] alarm(Context context, AppState state, File pushed) {
        String name = state.entry == null ? "" : state.entry.name;
        switch (state.camera) {
            case NO_PERMISSION:
                return pair(context, R.string.alarm_permission_title, context.getString(R.string.alarm_permission));
            case REFUSED:
                return pair(context, R.string.alarm_permission_title, context.getString(R.string.alarm_refused));
            case NONE:
                return pair(context, R.string.alarm_camera_title, context.getString(R.string.alarm_no_camera));
            case FAILED:
                return pair(context, R.string.alarm_camera_title, state.cameraDetail);
            default:
        }
        switch (state.model) {
            case NO_BUNDLES:
                String folder = pushed == null ? "" : pushed.getPath();
                return pair(context, R.string.alarm_bundles_title, context.getString(R.string.alarm_bundles, folder));
            case SKIPPED:
                return new String[] {context.getString(R.string.alarm_skipped_title, state.skipped.name),
                        context.getString(R.string.alarm_skipped)};
            case FAILED:
                return new String[] {context.getString(R.string.alarm_model_title, name), state.modelDetail};
            case SELF_TEST_FAILED:
                return new String[] {context.getString(R.string.alarm_selftest_title, name), state.modelDetail};
            default:
                return null;
        }
    }

    /** The label of the button that mends it, or 0. */
    static int action(AppState state) {
        switch (state.camera) {
            case NO_PERMISSION:
                return R.string.action_allow;
            case REFUSED:
                return R.string.action_settings;
            case NONE:
                return R.string.menu_media;
            case FAILED:
                return R.string.action_retry;
            default:
        }
        switch (state.model) {
            case NO_BUNDLES:
            case FAILED:
                return R.string.action_model;
            case SKIPPED:
                return R.string.action_skipped;
            case SELF_TEST_FAILED:
                return R.string.action_selftest;
            default:
                return state.skipped == null ? 0 : R.string.action_skipped;
        }
    }

    /** That another model runs than the one that was wanted; null if the wanted one runs. */
    static String notice(Context context, AppState state) {
        return state.entry == null ? null : notice(context, state.entry, state.skipped);
    }

    static String notice(Context context, BundleEntry runs, BundleEntry skipped) {
        return skipped == null ? null : context.getString(R.string.notice_skipped, skipped.name, runs.name);
    }

    /** Why there is no model to run. */
    static String noModel(Context context, BundleCatalog.Selection found, File pushed) {
        if (found.skipped == null) {
            return context.getString(R.string.alarm_bundles, String.valueOf(pushed));
        }
        return context.getString(R.string.alarm_skipped_title, found.skipped.name) + ". "
                + context.getString(R.string.alarm_skipped);
    }

    /** How a model is stored and computed on this processor, and what was asked for where that is not to be had. */
    static String precision(Context context, BundleInfo info) {
        String used = info.arithmeticUsed();
        String both = used.equals(info.storage()) ? used : info.storage() + " / " + used;
        boolean asRequested = used.equals(info.arithmeticRequested());
        return asRequested ? both : context.getString(R.string.bench_asked, both, info.arithmeticRequested());
    }

    /** One entry of the list of models. */
    static String entry(Context context, BundleEntry entry) {
        if (entry.isUsable()) {
            String line = context.getString(
                    R.string.picker_entry, entry.name, entry.precision, entry.width, entry.height, entry.classes);
            return entry.returned ? line : line + "\n" + context.getString(R.string.picker_skipped);
        }
        return context.getString(R.string.picker_bad, entry.name, reason(context, entry));
    }

    static String reason(Context context, BundleEntry entry) {
        switch (entry.problem) {
            case NO_MANIFEST:
                return context.getString(R.string.problem_no_manifest);
            case UNREADABLE:
                return context.getString(R.string.problem_unreadable, entry.detail);
            case NO_JSON:
                return context.getString(R.string.problem_no_json, entry.detail);
            case INCOMPLETE:
                return context.getString(R.string.problem_incomplete, entry.detail);
            default:
                return "";
        }
    }

    /** The verdict of a self-test, and a line for each stage: largest difference and tolerance. */
    static String selfTest(Context context, SelfTest test) {
        StringBuilder text = new StringBuilder(verdict(context, test)).append('\n');
        for (SelfTest.Check check : test.checks()) {
            String mark = !check.ok() ? "\u2717" : check.proved() ? "\u2713" : "?";
            text.append('\n').append(mark).append(' ').append(check.stage()).append(": ");
            text.append(number(check.maxAbs())).append(" / ").append(number(check.tolerance()));
            text.append(check.note().isEmpty() ? "" : " (" + check.note() + ")");
        }
        return text.toString();
    }

    /** The verdict of a self-test. */
    static String verdict(Context context, SelfTest test) {
        for (SelfTest.Check check : test.checks()) {
            if (!check.ok()) {
                String note = check.note().isEmpty() ? "" : " (" + check.note() + ")";
                return context.getString(
                        R.string.selftest_bad, check.stage(), number(check.maxAbs()), number(check.tolerance()), note);
            }
        }
        int open = test.notProved().size();
        String good = context.getString(R.string.selftest_good, test.checks().size() - open);
        return open == 0 ? good
                         : good + " " + context.getString(R.string.selftest_open, String.join(", ", test.notProved()));
    }

    /** A score, as boxes are labelled with it. */
    static String decimals(float score) {
        return String.format(Locale.getDefault(), "%.2f", score);
    }

    private static String number(double value) {
        return String.format(Locale.getDefault(), "%.2g", value);
    }

    private static String[] pair(Context context, int title, String message) {
        return new String[] {context.getString(title), message};
    }
}
