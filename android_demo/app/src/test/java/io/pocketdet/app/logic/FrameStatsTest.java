package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

public class FrameStatsTest {
    @Test
    public void percentilesAreThoseOfNumpy() {
        double[] values = {15, 20, 35, 40, 50};
        assertEquals(35, FrameStats.percentile(values, 50), 0);
        assertEquals(46, FrameStats.percentile(values, 90), 1e-12);
        assertEquals(15, FrameStats.percentile(values, 0), 0);
        assertEquals(50, FrameStats.percentile(values, 100), 0);
        assertEquals(7, FrameStats.percentile(new double[] {7}, 90), 0);
        assertTrue(Double.isNaN(FrameStats.percentile(new double[0], 50)));
    }

    @Test
    public void onlyTheLastHundredCount() {
        FrameStats stats = new FrameStats();
        for (int i = 0; i < 1000; i++) {
            stats.add(i < 900 ? 1e6 : i - 900);
        }
        assertEquals(100, stats.count());
        assertEquals(49.5, stats.percentile(50), 1e-12);
        assertEquals(1000 / 49.5, stats.fps(), 1e-12);
    }

    @Test
    public void whatIsNoTimeIsNoFrame() {
        FrameStats stats = new FrameStats(3);
        stats.add(Double.NaN);
        stats.add(-1);
        stats.add(Double.POSITIVE_INFINITY);
        assertEquals(0, stats.count());
        assertTrue(Double.isNaN(stats.fps()));
        stats.add(4);
        stats.clear();
        assertEquals(0, stats.count());
    }
}
