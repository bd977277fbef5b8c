package io.pocketdet.app.draw;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import io.pocketdet.app.logic.ViewFit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.junit.Before;
import org.junit.Test;

public class OverlayPainterTest {
    private static final float EPSILON = 1e-2f;

    @Before
    public void oneLanguage() {
        Locale.setDefault(Locale.ROOT);
    }

    private static RecordingSurface draw(List<Box> boxes, ViewFit fit) {
        RecordingSurface surface = new RecordingSurface(400, 600);
        OverlayPainter.paint(surface, boxes, fit, 1);
        return surface;
    }

    @Test
    public void coloursAreThoseOfPython() {
        // runtime/draw.py, classes 0 to 5
        int[] expected = {0xFF7A73, 0x00B172, 0xD6A8FF, 0xE59A00, 0x00A9D2, 0xFF92CF};
        for (int label = 0; label < expected.length; label++) {
            assertEquals(0xFF000000 | expected[label], Palette.classColour(label));
        }
        assertEquals(0xFFBD8900, Palette.classColour(79));
        assertEquals(0xFF101010, Palette.textOn(0xFFFF7A73));
        assertEquals(0xFFFFFFFF, Palette.textOn(0xFFB3261E));
    }

    @Test
    public void aBoxWithItsLabelAboveIt() {
        ViewFit fit = ViewFit.inside(200, 300, 400, 600, false);
        RecordingSurface surface = draw(Collections.singletonList(new Box(50, 60, 100, 120, 0.876f, 1, "bolt")), fit);
        assertEquals("bolt 0.88\n", surface.said());
        RecordingSurface.Mark box = surface.outlines.get(1);
        assertEquals(Palette.classColour(1), box.colour);
        assertEquals(100, box.x1 + 1.25f, EPSILON);
        assertEquals(240, box.y2 - 1.25f, EPSILON);
        RecordingSurface.Mark chip = surface.fills.get(0);
        assertTrue(chip.y2 <= 120 + 1.25f + EPSILON);
        assertTrue(chip.x1 >= 100 - 1.25f - EPSILON);
    }

    @Test
    public void boxesFromAScoreOn() {
        List<Box> boxes = new ArrayList<>();
        for (float score : new float[] {0.9f, 0.5f, 0.5f, 0.1f}) {
            boxes.add(new Box(0, 0, 1, 1, score, 0, "bolt"));
        }
        assertEquals(boxes, Box.atLeast(boxes, 0));
        assertEquals(boxes.subList(0, 3), Box.atLeast(boxes, 0.5f));
        assertEquals(0, Box.atLeast(boxes, 0.95f).size());
        assertEquals(0, Box.atLeast(Collections.emptyList(), 0).size());
    }

    @Test
    public void theBestLiesOnTop() {
        ViewFit fit = ViewFit.inside(400, 600, 400, 600, false);
        List<Box> boxes =
                Arrays.asList(new Box(10, 50, 60, 90, 0.9f, 0, "best"), new Box(12, 52, 62, 92, 0.5f, 1, "other"));
        RecordingSurface surface = draw(boxes, fit);
        assertEquals(Palette.classColour(0), surface.outlines.get(3).colour);
        assertEquals("other 0.50\nbest 0.90\n", surface.said());
    }

    @Test
    public void whatCannotBeSeenIsNotDrawn() {
        ViewFit fit = ViewFit.inside(400, 400, 400, 600, false);
        List<Box> boxes =
                Arrays.asList(new Box(Float.NaN, 0, 10, 10, 1, 0, "nan"), new Box(500, 0, 600, 10, 1, 0, "beside"),
                        new Box(0, 0, Float.NaN, 10, 1, 0, "nan"), new Box(0, -90, 10, -80, 1, 0, "above"));
        assertTrue(draw(boxes, fit).outlines.isEmpty());
        assertEquals("", draw(boxes, fit).said());
    }

    @Test
    public void nothingLeavesTheView() {
        Random random = new Random(3);
        for (int round = 0; round < 300; round++) {
            int width = 1 + random.nextInt(700);
            int height = 1 + random.nextInt(700);
            boolean mirrored = random.nextBoolean();
            ViewFit fit = ViewFit.inside(width, height, 400, 600, mirrored);
            List<Box> boxes = new ArrayList<>();
            for (int i = random.nextInt(12); i >= 0; i--) {
                float x = (random.nextFloat() * 3 - 1) * width;
                float y = (random.nextFloat() * 3 - 1) * height;
                String name = new String(new char[random.nextInt(90)]).replace('\0', 'w');
                boxes.add(new Box(x, y, x + random.nextFloat() * width, y + random.nextFloat() * height, 1, i, name));
            }
            RecordingSurface surface = draw(boxes, fit);
            for (List<RecordingSurface.Mark> marks : Arrays.asList(surface.fills, surface.texts)) {
                for (RecordingSurface.Mark mark : marks) {
                    assertTrue(mark.x1 >= -EPSILON && mark.x2 <= 400 + EPSILON);
                    assertTrue(mark.y1 >= -EPSILON && mark.y2 <= 600 + EPSILON);
                }
            }
            for (RecordingSurface.Mark mark : surface.outlines) {
                assertTrue(mark.x1 >= -1.1f && mark.x2 <= 401.1f && mark.y1 >= -1.1f && mark.y2 <= 601.1f);
            }
        }
    }

    @Test
    public void labelsKeepApartWhileThereIsRoom() {
        ViewFit fit = ViewFit.inside(400, 600, 400, 600, false);
        List<Box> boxes = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            boxes.add(new Box(100 + i, 200 + i, 300 + i, 400 + i, 0.9f, i, "ab"));
        }
        List<RecordingSurface.Mark> chips = draw(boxes, fit).fills;
        for (RecordingSurface.Mark a : chips) {
            for (RecordingSurface.Mark b : chips) {
                boolean apart = a.x2 <= b.x1 || b.x2 <= a.x1 || a.y2 <= b.y1 || b.y2 <= a.y1;
                assertTrue(a == b || apart);
            }
        }
    }

    @Test
    public void aTextThatIsTooWideIsCut() {
        RecordingSurface surface = new RecordingSurface(400, 800);
        assertEquals("abcdefgh", OverlayPainter.fitting(surface, "abcdefgh", 10, false, 400));
        assertEquals("abc\u2026", OverlayPainter.fitting(surface, "abcdefgh", 10, false, 20));
        assertEquals("", OverlayPainter.fitting(surface, "abc", 10, false, 1));
    }
}
