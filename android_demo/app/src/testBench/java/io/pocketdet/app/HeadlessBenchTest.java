package io.pocketdet.app;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import io.pocketdet.app.logic.LoadMarks;
import io.pocketdet.app.logic.ThermalState;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** What whoever asked by adb is told, without the native library; tests/benchmarks/test_targets_app.py has it. */
public class HeadlessBenchTest {
    private static final Supplier<ThermalState> UNKNOWN = () -> new ThermalState(-1, Float.NaN);

    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private static Map<String, Object> extras(Object... pairs) {
        Map<String, Object> made = new HashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            made.put((String) pairs[i], pairs[i + 1]);
        }
        return made;
    }

    private LoadMarks marks() {
        return new LoadMarks(new File(folder.getRoot(), "no marks"));
    }

    /** The sentence that is left instead of a result. */
    private String refusal(Map<String, Object> extras) throws IOException {
        assertFalse(HeadlessBench.answer(name -> null, marks(), UNKNOWN, folder.getRoot(), extras));
        assertArrayEquals(new String[] {"run.json.failed"}, folder.getRoot().list());
        return failure();
    }

    private String failure() throws IOException {
        File file = new File(folder.getRoot(), "run.json.failed");
        return new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8);
    }

    @Test
    public void aWrongExtra() throws IOException {
        assertEquals("extra 'frames' is '10'; expected an integer (--ei)\n",
                refusal(extras("out", "run.json", "bundle", "a", "frames", "10")));
    }

    @Test
    public void aBundleThatIsNotThere() throws IOException {
        assertEquals("there is no usable bundle named 'absent' in the app\n",
                refusal(extras("out", "run.json", "bundle", "absent")));
    }

    @Test
    public void aProcessorThatTheLibraryIsNotFor() throws IOException {
        String sentence = refusal(extras("out", "run.json", "command", "machine"));
        assertTrue(sentence, sentence.startsWith("the native library of pocketdet cannot be loaded on this "));
    }

    @Test
    public void nowhereToAnswerTo() throws IOException {
        try {
            HeadlessBench.answer(name -> null, marks(), UNKNOWN, folder.getRoot(), extras("out", "../run.json"));
            fail();
        } catch (IllegalArgumentException error) {
            assertEquals("extra 'out' is '../run.json'; expected a plain name such as run.json", error.getMessage());
        }
        assertEquals(0, folder.getRoot().list().length);
    }

    @Test
    public void aRequestThatIsCancelled() throws IOException {
        HeadlessBench.Catalog cancelled = name -> {
            throw new CancellationException("the run was cancelled");
        };
        Map<String, Object> extras = extras("out", "run.json", "bundle", "a");
        assertFalse(HeadlessBench.answer(cancelled, marks(), UNKNOWN, folder.getRoot(), extras));
        assertEquals("the run was cancelled\n", failure());
    }

    /** Two screens, as after a recreation or a second command, answer to the same file one after the other. */
    @Test
    public void oneRequestAtATime() throws Exception {
        StringBuffer order = new StringBuffer();
        Map<String, Object> extras = extras("out", "run.json", "bundle", "a");
        Thread second = new Thread(() -> answer(name -> {
            order.append("second ");
            return null;
        }, extras));
        answer(name -> {
            second.start();
            while (second.getState() != Thread.State.BLOCKED) {
                Thread.yield();
            }
            order.append("first ");
            return null;
        }, extras);
        second.join();
        assertEquals("first second ", order.toString());
    }

    private void answer(HeadlessBench.Catalog catalog, Map<String, Object> extras) {
        try {
            HeadlessBench.answer(catalog, marks(), UNKNOWN, folder.getRoot(), extras);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
