package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;

import org.junit.Test;

public class MachineCoresTest {
    private static Integer fastest(String cores) {
        return MachineCores.fastest("{\"machine\": {\"cpus\": [" + cores + "]}}");
    }

    @Test
    public void theLastOfTheFastest() {
        assertEquals(6,
                (int) fastest("{\"cpu\": 0, \"most_khz\": 1800000}, {\"cpu\": 5, \"most_khz\": 2400000}, "
                        + "{\"cpu\": 6, \"most_khz\": 2400000}, {\"cpu\": 7, \"most_khz\": 1800000}"));
        assertEquals(1,
                (int) fastest("{\"cpu\": 0}, {\"cpu\": 1, \"capacity\": 1024}, "
                        + "{\"cpu\": 2, \"capacity\": 512}"));
        assertEquals(2, (int) fastest("{\"cpu\": 2}, {\"cpu\": 0}"));
    }

    @Test
    public void noCores() {
        assertNull(fastest(""));
        assertNull(MachineCores.fastest("{}"));
    }
}
