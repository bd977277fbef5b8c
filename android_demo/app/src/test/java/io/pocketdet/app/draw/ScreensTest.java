package io.pocketdet.app.draw;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.junit.Before;
import org.junit.Test;

public class ScreensTest {
    private final RecordingSurface surface = new RecordingSurface(400, 800);

    @Before
    public void oneLanguage() {
        Locale.setDefault(Locale.ROOT);
    }

    private void assertInside() {
        for (List<RecordingSurface.Mark> marks : Arrays.asList(surface.fills, surface.texts)) {
            for (RecordingSurface.Mark mark : marks) {
                assertTrue(mark.what, mark.x1 >= 0 && mark.x2 <= 400);
            }
        }
    }

    @Test
    public void theStatusStandsAtTheFoot() {
        float top = PanelPainter.status(surface, Arrays.asList("snet49, fp16", "pre 1 ms", "p50 30 ms"), 1);
        assertEquals("snet49, fp16\npre 1 ms\np50 30 ms\n", surface.said());
        for (RecordingSurface.Mark text : surface.texts) {
            assertTrue(text.y1 > top && text.y2 < 800);
        }
        assertInside();
    }

    @Test
    public void aNoticeStandsAtTheTopAndWraps() {
        String sentence =
                "mine was not loaded: this app ended before its last load returned. snet49 runs in its place.";
        float bottom = PanelPainter.notice(surface, sentence, 1);
        assertEquals(sentence, surface.said().trim().replace('\n', ' '));
        assertTrue(surface.texts.size() > 1);
        for (RecordingSurface.Mark text : surface.texts) {
            assertTrue(text.y1 > 0 && text.y2 < bottom && bottom < 200);
        }
        assertInside();
    }

    @Test
    public void anAlarmIsRedAndWrapsItsMessage() {
        String message = "stage 'boxes' differs from PyTorch by 12 where 0.5 is allowed: what this device detects with "
                + "this bundle cannot be trusted";
        PanelPainter.alarm(surface, "Self-test failed", message, 1);
        assertEquals(0xFFC93A31, surface.fills.get(0).colour);
        assertEquals("Self-test failed " + message, surface.said().trim().replace('\n', ' '));
        assertTrue(surface.texts.size() > 2);
        assertInside();
        RecordingSurface.Mark last = surface.texts.get(surface.texts.size() - 1);
        assertTrue(last.y2 < surface.fills.get(0).y2);
    }

    @Test
    public void wordsAreCutAndWrapped() {
        assertEquals("abc\u2026", Words.fit(surface, "abcdefgh", 10, false, 20));
        assertEquals("", Words.fit(surface, "abc", 10, false, 1));
        assertEquals(Arrays.asList("aa bb", "cc"), Words.wrap(surface, " aa bb  cc ", 10, 25));
        assertEquals(Arrays.asList("a", "bbbb\u2026"), Words.wrap(surface, "a bbbbbbbbbb", 10, 25));
        assertEquals(Collections.singletonList(""), Words.wrap(surface, "", 10, 25));
    }
}
