package io.pocketdet.app.logic;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.util.Collections;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class LoadMarksTest {
    private static final String A = new String(new char[64]).replace('\0', 'a');
    private static final String B = new String(new char[64]).replace('\0', 'b');

    @Rule public final TemporaryFolder temporary = new TemporaryFolder();

    private File folder() {
        return new File(temporary.getRoot(), "made/when needed");
    }

    /** What a process that starts now finds. */
    private Set<String> left() {
        return new LoadMarks(folder()).unreturned();
    }

    @Test
    public void aLoadIsMarkedWhileItRuns() throws IOException {
        LoadMarks marks = new LoadMarks(folder());
        assertEquals("loaded", marks.during(A, () -> {
            assertEquals(Collections.singleton(A), left());
            return "loaded";
        }));
        assertEquals(Collections.emptySet(), left());
        assertEquals(Collections.emptySet(), marks.unreturned());
    }

    @Test
    public void aRefusalReturns() {
        LoadMarks marks = new LoadMarks(folder());
        assertThrows(IllegalStateException.class,
                () -> marks.during(A, () -> { throw new IllegalStateException("the bundle is damaged"); }));
        assertThrows(OutOfMemoryError.class, () -> marks.during(A, () -> { throw new OutOfMemoryError(); }));
        assertEquals(Collections.emptySet(), left());
    }

    @Test
    public void twoLoadsOfOneBundleShareAMark() throws IOException {
        LoadMarks marks = new LoadMarks(folder());
        marks.during(A, () -> {
            marks.during(B, () -> marks.during(A, () -> ""));
            assertEquals(Collections.singleton(A), left());
            return "";
        });
        assertEquals(Collections.emptySet(), left());
    }

    @Test
    public void aProcessThatEndsLeavesItsMark() throws Exception {
        Process process = new ProcessBuilder(System.getProperty("java.home") + "/bin/java", "-cp",
                System.getProperty("java.class.path"), EndingLoad.class.getName(), folder().getPath(), A)
                                  .inheritIO()
                                  .start();
        assertEquals(EndingLoad.CODE, process.waitFor());
        LoadMarks marks = new LoadMarks(folder());
        assertEquals(Collections.singleton(A), marks.unreturned());
        marks.during(B, () -> ""); // another bundle's load says nothing of this one
        assertEquals(Collections.singleton(A), marks.unreturned());
        marks.during(A, () -> ""); // tried again, and it returns
        assertEquals(Collections.emptySet(), marks.unreturned());
        assertEquals(Collections.emptySet(), left());
    }

    @Test
    public void nothingIsLoadedWithoutAMark() throws IOException {
        TemporaryFiles.write(temporary.getRoot(), "made", "a file where the folder would be");
        AtomicBoolean loaded = new AtomicBoolean();
        IOException error = assertThrows(IOException.class, () -> new LoadMarks(folder()).during(A, () -> {
            loaded.set(true);
            return "";
        }));
        assertTrue(error.getMessage(), error.getMessage().contains("cannot be written"));
        assertEquals(false, loaded.get());
    }

    @Test
    public void aBundleWithoutAManifestLeavesNoMark() throws IOException {
        assertEquals("refused", new LoadMarks(folder()).during(null, () -> "refused"));
        assertArrayEquals(null, folder().list());
    }
}
