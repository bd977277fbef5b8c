package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Collections;
import java.util.Random;
import org.json.JSONArray;
import org.json.JSONObject;
import org.junit.Test;

public class DocumentsTest {
    private static String refusal(String text) {
        return assertThrows(text, IllegalArgumentException.class, () -> Documents.parse(text)).getMessage();
    }

    @Test
    public void valuesByTheirNamesAndTypes() {
        JSONObject document = Documents.parse(" {\"a\": [1, 2], \"b\": {\"c\": \"x\\n\\u00e9\\\"[\", \"n\": 2.5}}");
        assertEquals(2, Documents.find(document, JSONArray.class, "a").length());
        assertEquals("x\n\u00e9\"[", Documents.find(document, String.class, "b", "c"));
        assertEquals(2.5, Documents.find(document, Number.class, "b", "n").doubleValue(), 0);
        assertNull(Documents.find(document, String.class, "b", "missing"));
        assertNull(Documents.find(document, String.class, "a", "c"));
        assertNull(Documents.find(document, Number.class, "b", "c"));
    }

    @Test
    public void whatIsNoDocumentIsRefused() {
        for (String text : new String[] {"", "{", "[1]", "{\"a\"}", "{\"a\":1", "\"", "7", "{\"a\":\"\\u12\"}"}) {
            assertTrue(text, refusal(text).startsWith("no JSON: "));
        }
    }

    @Test
    public void anExtentThatTheReaderCannotBearIsRefused() {
        String deep = String.join("", Collections.nCopies(100_000, "["));
        assertTrue(refusal("{\"a\": " + deep).contains("at most 64 levels"));
        assertTrue(refusal("{\"a\":[" + String.join(",", Collections.nCopies(1 << 19, "0")) + "]}").contains("values"));
        for (String form : new String[] {"{a\":", "{'\"':", "{/*\"*/a:", "{\"a\";#\"\n"}) {
            assertTrue(form, refusal(form + deep).startsWith("no JSON: "));
        }
        String brackets = "\"" + deep + "\\\"" + deep + "\"";
        assertEquals(200_001, Documents.parse("{\"a\": " + brackets + "}").optString("a").length());
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
                Documents.parse(text.toString());
            } catch (IllegalArgumentException error) {
                refused++;
            }
        }
        assertTrue(String.valueOf(refused), refused > 10_000);
    }
}
