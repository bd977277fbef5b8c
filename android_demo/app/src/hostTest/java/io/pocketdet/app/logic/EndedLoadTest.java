package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;

import io.pocketdet.Detector;
import io.pocketdet.DetectorOptions;
import java.io.File;
import java.io.IOException;
import java.util.Collections;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** A process that ends while the native library has a bundle open: the next start runs another bundle. */
public class EndedLoadTest {
    private static final int CODE = 17;
    private static final File BUNDLES = new File(System.getProperty("pocketdet.fixtures"), "bundles");

    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    /** Arguments: the folder of marks, a bundle. Ends within its load, as native code that crashes does. */
    public static void main(String[] arguments) throws IOException {
        File bundle = new File(arguments[1]);
        new LoadMarks(new File(arguments[0])).during(BundleCatalog.digest(bundle), () -> {
            try (Detector detector = Detector.open(bundle, DetectorOptions.defaults())) {
                Runtime.getRuntime().halt(detector.selfTest().ok() ? CODE : 1);
            }
            return null;
        });
    }

    @Test
    public void theBundleIsSkippedAtTheNextStart() throws Exception {
        File bundle = new File(BUNDLES, "other.pocketdet");
        File marks = new File(folder.getRoot(), "marks");
        Process process = new ProcessBuilder(System.getProperty("java.home") + "/bin/java",
                "-Djava.library.path=" + System.getProperty("java.library.path"),
                "-Dpocketdet.fixtures=" + System.getProperty("pocketdet.fixtures"), "-cp",
                System.getProperty("java.class.path"), EndedLoadTest.class.getName(), marks.getPath(), bundle.getPath())
                                  .inheritIO()
                                  .start();
        assertEquals(CODE, process.waitFor());
        BundleCatalog catalog = BundleCatalog.scan(null, BUNDLES, new LoadMarks(marks).unreturned());
        String wanted = BundleEntry.Origin.FILES.id(bundle);
        BundleCatalog.Selection found = catalog.choose(wanted);
        assertEquals(wanted, found.skipped.id());
        assertEquals(true, found.entry.returned);
        BundleCatalog.Selection other = BundleCatalog.scan(null, BUNDLES, Collections.emptySet()).choose(wanted);
        assertEquals(wanted, other.entry.id());
        assertNull(other.skipped);
    }
}
