package io.pocketdet.app;

import io.pocketdet.Bench;
import io.pocketdet.BenchOptions;
import io.pocketdet.DetectorOptions;
import io.pocketdet.app.logic.BundleCatalog;
import io.pocketdet.app.logic.LoadMarks;
import io.pocketdet.app.logic.ThermalState;
import java.io.File;
import java.io.IOException;
import java.util.function.Supplier;

/** Measures a bundle by the protocol of `pocketdet bench`. */
final class Benchmark {
    private Benchmark() {
    }

    /**
     * The library's document, with the thermal state before and after under "android". The mark covers a load and one
     * frame before it: a measurement that the user ends with the app is no bundle that crashes. Ends with a
     * CancellationException once its thread is interrupted. One at a time: a second one waits for the end of the first.
     */
    static synchronized String run(LoadMarks marks, Supplier<ThermalState> thermal, File bundle,
            DetectorOptions options, BenchOptions bench) throws IOException {
        BenchOptions once = BenchOptions.builder().warmup(0).frames(1).images(bench.images()).build();
        marks.during(BundleCatalog.digest(bundle), () -> Bench.run(bundle, options, once));
        ThermalState before = thermal.get();
        String document = Bench.run(bundle, options, bench);
        return ThermalState.add(document, before, thermal.get());
    }
}
