package io.pocketdet.app.logic;

import java.io.File;
import java.io.IOException;

/** A program that ends within a load, as native code that crashes does. Arguments: the folder of marks, a digest. */
final class EndingLoad {
    static final int CODE = 17;

    private EndingLoad() {
    }

    public static void main(String[] arguments) throws IOException {
        new LoadMarks(new File(arguments[0])).during(arguments[1], () -> {
            Runtime.getRuntime().halt(CODE);
            return "";
        });
    }
}
