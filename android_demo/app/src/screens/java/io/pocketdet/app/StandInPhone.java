package io.pocketdet.app;

import io.pocketdet.app.logic.LoadMarks;
import io.pocketdet.app.logic.ThermalState;
import java.io.File;
import java.util.HashMap;
import java.util.Map;

/**
 * Plays `am start` of BenchActivity on a computer, for tests of `pocketdet bench --target adb --via app`: the same
 * answer to the same extras, by the library for this computer.
 *
 * <p>Arguments: the folder for results, then --es, --ei, --ef and --ez with a name and a value each.
 */
public final class StandInPhone {
    private StandInPhone() {
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> extras = new HashMap<>();
        for (int i = 1; i + 2 < arguments.length; i += 3) {
            String value = arguments[i + 2];
            boolean integer = arguments[i].equals("--ei");
            boolean truth = arguments[i].equals("--ez");
            boolean decimal = arguments[i].equals("--ef");
            extras.put(arguments[i + 1],
                    integer ? (Object) Integer.valueOf(value)
                            : truth   ? (Object) Boolean.valueOf(value)
                            : decimal ? (Object) Float.valueOf(value)
                                      : value);
        }
        File folder = new File(arguments[0]);
        LoadMarks marks = new LoadMarks(new File(folder.getParentFile(), "loads"));
        HeadlessBench.answer(name -> null, marks, () -> new ThermalState(0, 0.25f), folder, extras);
    }
}
