package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.Test;

public class JsonTest {
    @Test
    public void everyKindOfValue() {
        Object document = Json.parse(" {\"a\": [1, -2.5e3, true, false, null], "
                + "\"b\": {\"c\": \"x\\n\\u00e9\\\"\"}, \"e\": {}, \"f\":[]}\n");
        assertEquals(Arrays.asList(1.0, -2500.0, true, false, null), Json.find(document, List.class, "a"));
        assertEquals("x\n\u00e9\"", Json.find(document, String.class, "b", "c"));
        assertNull(Json.find(document, String.class, "b", "missing"));
        assertNull(Json.find(document, String.class, "a", "c"));
        assertNull(Json.find(document, Double.class, "b", "c"));
    }

    @Test
    public void whatIsNoJsonIsRefused() {
        String[] bad = {"", "{", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "[1 2]", "tru", "nul", "01", "1.", ".5", "+1",
                "1e", "-", "\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"", "{} {}", "NaN", "[", "{\"a\":1,}"};
        for (String text : bad) {
            try {
                Json.parse(text);
                fail(text);
            } catch (IllegalArgumentException error) {
                assertTrue(error.getMessage(), error.getMessage().startsWith("no JSON at character "));
            }
        }
    }

    @Test
    public void deepNestingEndsInASentence() {
        StringBuilder deep = new StringBuilder();
        for (int i = 0; i < 100_000; i++) {
            deep.append('[');
        }
        try {
            Json.parse(deep.toString());
            fail();
        } catch (IllegalArgumentException error) {
            assertTrue(error.getMessage(), error.getMessage().endsWith("expected fewer levels"));
        }
    }

    @Test
    public void damagedTextNeverDoesAnythingElse() {
        String good = "{\"name\": \"a\\u0041\", \"list\": [1.5, {\"b\": null}, [true]], \"n\": -0.1e-3}";
        Random random = new Random(7);
        int refused = 0;
        for (int i = 0; i < 20_000; i++) {
            StringBuilder text = new StringBuilder(good);
            for (int k = random.nextInt(3); k >= 0; k--) {
                int at = random.nextInt(text.length());
                text.setCharAt(at, "{}[]\",:\\0e.-ntu ".charAt(random.nextInt(16)));
            }
            if (random.nextBoolean()) {
                text.setLength(random.nextInt(text.length()));
            }
            try {
                Json.parse(text.toString());
            } catch (IllegalArgumentException error) {
                refused++;
            }
        }
        assertTrue(refused > 15_000);
    }
}
