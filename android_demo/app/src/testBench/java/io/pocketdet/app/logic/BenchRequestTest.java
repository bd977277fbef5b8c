package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.junit.Test;

public class BenchRequestTest {
    private static Map<String, Object> extras(Object... pairs) {
        Map<String, Object> made = new HashMap<>();
        made.put("out", "run.json");
        made.put("bundle", "thundernet");
        for (int i = 0; i < pairs.length; i += 2) {
            made.put((String) pairs[i], pairs[i + 1]);
        }
        return made;
    }

    @Test
    public void whatIsNotAskedIsLeftToTheLibrary() {
        BenchRequest request = BenchRequest.from(extras());
        assertEquals(BenchRequest.Command.BENCH, request.command);
        assertEquals("thundernet", request.bundle);
        assertNull(request.frames);
        assertNull(request.seconds);
        assertNull(request.precision);
        assertTrue(request.images.isEmpty());
    }

    @Test
    public void everythingThatCanBeAsked() {
        BenchRequest request = BenchRequest.from(extras("command", "verify", "precision", "fp16", "images",
                "/a.png,/b.png", "frames", 10, "seconds", 2.5f, "warmup", 0, "cpu", 7, "rois", 50, "digest",
                new String(new char[64]).replace('\0', 'a')));
        assertEquals(BenchRequest.Command.VERIFY, request.command);
        assertEquals("fp16", request.precision);
        assertEquals(Arrays.asList("/a.png", "/b.png"), request.images);
        assertEquals(10, (int) request.frames);
        assertEquals(2.5, request.seconds, 0);
        assertEquals(0, (int) request.warmup);
        assertEquals(7, (int) request.cpu);
        assertEquals(50, (int) request.rois);
        assertEquals(64, request.digest.length());
        assertFalse(request.layers);
        assertTrue(BenchRequest.from(extras("layers", true)).layers);
    }

    @Test
    public void theMachineNeedsNoBundle() {
        Map<String, Object> extras = extras("command", "machine");
        extras.remove("bundle");
        assertEquals(BenchRequest.Command.MACHINE, BenchRequest.from(extras).command);
    }

    @Test
    public void whatCannotBeIsToldByName() {
        refused("frames", "10", "extra 'frames' is '10'; expected an integer (--ei)");
        refused("cpu", 1.5, "extra 'cpu' is '1.5'; expected an integer (--ei)");
        refused("seconds", "2", "extra 'seconds' is '2'; expected a number (--ef)");
        refused("digest", 7, "extra 'digest' is '7'; expected a text (--es)");
        refused("images", "a.png", "extra 'images' is 'a.png'; expected full paths with commas between them");
        refused("images", "/a.png,", "extra 'images' is ''; expected full paths with commas between them");
        refused("command", "delete", "extra 'command' is 'delete'; expected machine, verify or bench");
        refused("bundle", 3, "extra 'bundle' is '3'; expected a text (--es)");
        refused("bundle", null, "extra 'bundle' is missing; expected a folder or the name of a bundle");
        refused("frame", 3,
                "extra 'frame' is unknown; there are out, command, bundle, digest, precision, size, images, frames, "
                        + "seconds, warmup, cpu, rois, layers");
    }

    @Test
    public void theResultStaysInItsFolder() {
        String[] names = {"../x.json", "/tmp/x.json", "a/b.json", ".json", "x", "x.json.json", "x.json\n"};
        for (String name : names) {
            refused("out", name, "extra 'out' is '" + name + "'; expected a plain name such as run.json");
        }
        refused("out", null, "extra 'out' is missing; expected a plain name such as run.json");
    }

    private static void refused(String name, Object value, String sentence) {
        try {
            BenchRequest.from(extras(name, value));
            fail(name + " " + value);
        } catch (IllegalArgumentException error) {
            assertEquals(sentence, error.getMessage());
        }
    }
}
