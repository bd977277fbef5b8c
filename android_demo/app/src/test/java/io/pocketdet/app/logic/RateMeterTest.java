package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

public class RateMeterTest {
    private static final long SECOND = 1_000_000_000L;

    @Test
    public void aSteadyRate() {
        RateMeter meter = new RateMeter();
        assertTrue(Double.isNaN(meter.perSecond(0)));
        long now = 17;
        for (int i = 0; i < 100; i++) {
            now += SECOND / 30;
            meter.tick(now);
        }
        assertEquals(30, meter.perSecond(now), 1e-3);
    }

    @Test
    public void aChangeShowsWithinThirtyFrames() {
        RateMeter meter = new RateMeter();
        long now = 0;
        for (int i = 0; i < 60; i++) {
            now += i < 30 ? SECOND / 60 : SECOND / 15;
            meter.tick(now);
        }
        assertEquals(15, meter.perSecond(now), 1e-3);
    }

    @Test
    public void aPauseIsNoRate() {
        RateMeter meter = new RateMeter();
        meter.tick(0);
        meter.tick(SECOND / 10);
        assertEquals(10, meter.perSecond(SECOND / 5), 1e-9);
        assertTrue(Double.isNaN(meter.perSecond(3 * SECOND)));
        meter.tick(3 * SECOND);
        assertTrue(Double.isNaN(meter.perSecond(3 * SECOND)));
        meter.tick(3 * SECOND + SECOND / 4);
        assertEquals(4, meter.perSecond(3 * SECOND + SECOND / 4), 1e-9);
    }

    @Test
    public void twoFramesAtOnceAreNoRate() {
        RateMeter meter = new RateMeter();
        meter.tick(5);
        meter.tick(5);
        assertTrue(Double.isNaN(meter.perSecond(5)));
    }
}
