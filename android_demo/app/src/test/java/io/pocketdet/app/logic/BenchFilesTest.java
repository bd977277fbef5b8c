package io.pocketdet.app.logic;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.io.File;
import java.io.IOException;
import java.util.Arrays;
import java.util.Locale;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** The result that another program waits for, and what a screen reads from it. */
public class BenchFilesTest {
    static final String DOCUMENT =
            "{\"bundle\": {\"name\": \"snet49\"}, \"engine\": {\"ncnn\": \"ncnn 1.0.20261020 (simd)\", "
            + "\"precision_asked\": \"fp16\", \"precision\": \"fp32\"}, "
            + "\"stages\": [\"preprocess\", \"model\"], \"affinity\": [7], "
            + "\"samples\": {\"milliseconds\": [[1, 10], [2, 20], [3, 30]]}}";

    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private String[] names(File where) {
        String[] names = where.list();
        Arrays.sort(names);
        return names;
    }

    @Test
    public void doneComesLast() throws IOException {
        File where = new File(folder.getRoot(), "bench");
        ResultFile result = new ResultFile(where, "run.json");
        result.begin();
        assertEquals(0, names(where).length);
        result.done("{}");
        assertArrayEquals(new String[] {"run.json", "run.json.done"}, names(where));
        assertEquals("{}", TemporaryFiles.read(new File(where, "run.json")));
    }

    @Test
    public void aFailureIsOneSentence() throws IOException {
        ResultFile result = new ResultFile(folder.getRoot(), "run.json");
        result.failed("the bundle is damaged\nbadly");
        assertArrayEquals(new String[] {"run.json.failed"}, names(folder.getRoot()));
        File sentence = new File(folder.getRoot(), "run.json.failed");
        assertEquals("the bundle is damaged badly\n", TemporaryFiles.read(sentence));
    }

    @Test
    public void anOldResultIsGoneBeforeANewRun() throws IOException {
        ResultFile result = new ResultFile(folder.getRoot(), "run.json");
        result.done("old");
        result.failed("older");
        result.begin();
        assertEquals(0, names(folder.getRoot()).length);
    }

    @Test
    public void aSummaryOfTheDocument() {
        BenchSummary summary = BenchSummary.parse(DOCUMENT);
        assertEquals("snet49", summary.bundle);
        assertEquals("ncnn 1.0.20261020", summary.engine);
        assertEquals("fp16", summary.precisionAsked);
        assertEquals("fp32", summary.precision);
        assertEquals(Arrays.asList("preprocess", "model"), summary.stages);
        assertArrayEquals(new double[] {2, 20}, summary.stageMedians, 0);
        assertEquals(22, summary.median, 0);
        assertEquals(30.8, summary.p90, 1e-12);
        assertEquals(1000 / 22.0, summary.fps(), 1e-12);
        assertEquals(3, summary.frames);
        assertEquals(7, summary.cpu);
        assertEquals(-1, BenchSummary.parse(DOCUMENT.replace("[7]", "[0, 1]")).cpu);
    }

    @Test
    public void theSlowestLayersComeFirst() {
        assertTrue(BenchSummary.parse(DOCUMENT).slowestLayers.isEmpty());
        String layers = "\"layers\": {\"names\": [{\"stage\": \"model\", \"name\": \"conv1\"}, "
                + "{\"stage\": \"model\", \"name\": \"fc\"}], \"nanoseconds\": [[1000, 5000000], [3000, 7000000]]}, ";
        Locale.setDefault(Locale.ROOT);
        assertEquals(Arrays.asList("model fc: 6.000", "model conv1: 0.002"),
                BenchSummary.parse(DOCUMENT.replace("\"stages\"", layers + "\"stages\"")).slowestLayers);
    }

    @Test
    public void anotherDocumentIsRefused() {
        String[][] cases = {
                {"{}", "the document has no bundle.name"},
                {DOCUMENT.replace("\"stages\"", "\"steps\""), "the document has no stages"},
                {DOCUMENT.replace("[2, 20]", "[2]"), "frame 1 has no time for stage model"},
                {DOCUMENT.replace("[2, 20]", "7"), "frame 1 has no time for stage preprocess"},
                {"{", "no JSON: End of input at character 1 of {"},
        };
        for (String[] one : cases) {
            try {
                BenchSummary.parse(one[0]);
                fail(one[0]);
            } catch (IllegalArgumentException error) {
                assertEquals(one[1], error.getMessage());
            }
        }
    }
}
