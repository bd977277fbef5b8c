package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import org.json.JSONObject;
import org.junit.Test;

public class ThermalStateTest {
    private static final ThermalState UNKNOWN = new ThermalState(-1, Float.NaN);

    @Test
    public void whatAndroidTells() {
        assertEquals("none", new ThermalState(0, Float.NaN).status);
        assertEquals("shutdown", new ThermalState(6, 1.5f).status);
        assertEquals("", new ThermalState(7, 1.5f).status);
        assertFalse(UNKNOWN.isKnown());
        assertTrue(new ThermalState(0, Float.NaN).isKnown());
        assertTrue(new ThermalState(-1, 0.5f).isKnown());
        assertFalse(new ThermalState(-1, Float.POSITIVE_INFINITY).isKnown());
    }

    @Test
    public void theDocumentHasBothStates() {
        String document = ThermalState.add("{\"a\": {\"b\": 1.25}}\n", new ThermalState(1, 0.5f), UNKNOWN);
        JSONObject read = Documents.parse(document);
        assertEquals(1.25, Documents.find(read, Number.class, "a", "b").doubleValue(), 0);
        assertEquals("light", Documents.find(read, String.class, "android", "thermal", "before", "status"));
        assertEquals(
                0.5, Documents.find(read, Number.class, "android", "thermal", "before", "headroom").doubleValue(), 0);
        JSONObject after = Documents.find(read, JSONObject.class, "android", "thermal", "after");
        assertTrue(after.isNull("status") && after.isNull("headroom"));
    }
}
