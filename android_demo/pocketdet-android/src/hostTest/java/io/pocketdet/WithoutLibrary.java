package io.pocketdet;

import java.io.File;

/** A program for a JVM that has no native library: says how a detector fails to open there, twice. */
final class WithoutLibrary {
    private WithoutLibrary() {
    }

    public static void main(String[] arguments) {
        for (int i = 0; i < 2; i++) {
            try {
                Detector.open(new File("any"), DetectorOptions.defaults()).close();
            } catch (EngineException error) {
                System.out.println(error.getMessage());
            }
        }
    }
}
