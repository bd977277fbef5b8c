package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

public class PaceTest {
    @Test
    public void onceAPeriodOfAnyNumberOfFrames() {
        Pace pace = new Pace(250);
        int due = 0;
        for (long now = Long.MAX_VALUE - 500; now != Long.MIN_VALUE + 500; now++) { // System.nanoTime() may overflow
            due += pace.isDue(now) ? 1 : 0;
        }
        assertEquals(5, due); // after 0, 250, 500, 750 and 1000 of 1001
    }

    @Test
    public void atOnceAfterAReset() {
        Pace pace = new Pace(250);
        assertTrue(pace.isDue(0));
        assertFalse(pace.isDue(1));
        pace.reset();
        assertTrue(pace.isDue(2));
    }
}
