package io.pocketdet.app.logic;

/** How often something happens, from its last moments: the camera's frames a second, apart from inference. */
public final class RateMeter {
    private static final int MOMENTS = 31;
    private static final double PAUSE_NS = 1e9;

    private final long[] ring = new long[MOMENTS];
    private int count;

    /** It happened at this time; after a pause of more than a second counting begins anew. */
    public synchronized void tick(long nanoseconds) {
        if (count > 0 && nanoseconds - last() > PAUSE_NS) {
            count = 0;
        }
        ring[count % MOMENTS] = nanoseconds;
        count++;
    }

    /** Times a second over up to 30 intervals; NaN before the second moment and more than a second after the last. */
    public synchronized double perSecond(long nowNanoseconds) {
        int held = Math.min(count, MOMENTS);
        if (held < 2 || nowNanoseconds - last() > PAUSE_NS) {
            return Double.NaN;
        }
        long span = last() - ring[(count - held) % MOMENTS];
        return span > 0 ? (held - 1) * 1e9 / span : Double.NaN;
    }

    private long last() {
        return ring[(count - 1) % MOMENTS];
    }
}
