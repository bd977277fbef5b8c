package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;

import java.util.List;
import java.util.Locale;
import org.junit.After;
import org.junit.Test;

public class StatusTextTest {
    private static final String[] FORMATS = {"%1$s, %2$s, %3$s thread %4$s", "pre %1$s infer %2$s post %3$s ms %4$s",
            "p50 %1$s ms (%2$s frames), %3$s fps, camera %4$s fps"};
    private final Locale before = Locale.getDefault();

    @After
    public void restore() {
        Locale.setDefault(before);
    }

    private static List<String> lines(String rois, FrameStats stats, double camera) {
        return StatusText.lines(FORMATS, "snet49", "fp16", 1, "", new double[] {1.04, 20, 3.55}, rois, stats, camera);
    }

    @Test
    public void threeLines() {
        Locale.setDefault(Locale.ROOT);
        FrameStats stats = new FrameStats();
        stats.add(20);
        stats.add(30);
        List<String> lines = lines("\u00b7 200 RoIs", stats, 29.97);
        assertEquals("snet49, fp16, 1 thread", lines.get(0));
        assertEquals("pre 1.0 infer 20.0 post 3.6 ms \u00b7 200 RoIs", lines.get(1));
        assertEquals("p50 25.0 ms (2 frames), 40.0 fps, camera 30.0 fps", lines.get(2));
    }

    @Test
    public void whatIsNotKnownIsADash() {
        assertEquals("p50 \u2013 ms (0 frames), \u2013 fps, camera \u2013 fps",
                lines("", new FrameStats(), Double.NaN).get(2));
    }

    @Test
    public void numbersOfTheUsersLanguage() {
        Locale.setDefault(Locale.GERMANY);
        assertEquals("pre 1,0 infer 20,0 post 3,6 ms", lines("", new FrameStats(), 30).get(1));
    }
}
