package io.pocketdet.app.draw;

import io.pocketdet.Detections;
import io.pocketdet.Detector;
import io.pocketdet.DetectorOptions;
import io.pocketdet.Frame;
import io.pocketdet.SelfTest;
import io.pocketdet.app.logic.FrameStats;
import io.pocketdet.app.logic.StatusText;
import io.pocketdet.app.logic.ViewFit;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.File;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;

/**
 * What the app paints, painted on a computer with a real detector behind it: the same painters and strings.
 * Android's own bars and buttons are not in the images, and times are those of the computer.
 *
 * <p>Arguments: resources, image, bundle, a bundle whose golden values are wrong, folder for the results.
 */
public final class DrawScreens {
    private static final float UNIT = 1.5f;
    private static final int WIDTH = (int) (360 * UNIT);
    private static final int HEIGHT = (int) (680 * UNIT);
    private static final int FRAMES = 100;

    private final Strings strings;
    private final BufferedImage image;
    private final File out;

    private DrawScreens(File resources, File image, File out) throws Exception {
        strings = new Strings(new File(resources, "values/strings.xml"));
        this.image = ImageIO.read(image);
        this.out = out;
    }

    public static void main(String[] arguments) throws Exception {
        Locale.setDefault(Locale.ENGLISH);
        DrawScreens screens = new DrawScreens(new File(arguments[0]), new File(arguments[1]), new File(arguments[4]));
        File bundle = new File(arguments[2]);
        screens.camera(bundle);
        screens.selfTest(new File(arguments[3]));
    }

    private Frame frame() {
        ByteBuffer pixels = ByteBuffer.allocateDirect(4 * image.getWidth() * image.getHeight());
        for (int y = 0; y < image.getHeight(); y++) {
            for (int x = 0; x < image.getWidth(); x++) {
                int rgb = image.getRGB(x, y);
                pixels.put((byte) (rgb >> 16)).put((byte) (rgb >> 8)).put((byte) rgb).put((byte) -1);
            }
        }
        pixels.rewind();
        return Frame.rgba(pixels, image.getWidth(), image.getHeight(), 4 * image.getWidth());
    }

    private void camera(File bundle) throws Exception {
        try (Detector detector = Detector.open(bundle, DetectorOptions.builder().scoreThreshold(0.5f).build())) {
            FrameStats stats = new FrameStats();
            Detections found = null;
            for (int i = 0; i < FRAMES; i++) {
                found = detector.detect(frame());
                stats.add(found.times().total());
            }
            List<Box> boxes = new ArrayList<>();
            for (int i = 0; i < found.size(); i++) {
                boxes.add(new Box(found.x1(i), found.y1(i), found.x2(i), found.y2(i), found.score(i), found.label(i),
                        found.name(i)));
            }
            double[] parts = {found.times().pre(), found.times().infer(), found.times().post()};
            List<String> status = StatusText.lines(new StatusText.Formats(strings.get("status_model"),
                                                           strings.get("status_times"), strings.get("status_rates")),
                    detector.info().name(), detector.info().storage(), 1, "", parts, stats, Double.NaN);
            BufferedImage screen = blackWithImage((int) (560 * UNIT), (int) (574 * UNIT));
            ImageSurface surface = new ImageSurface(screen);
            ViewFit fit =
                    ViewFit.inside(image.getWidth(), image.getHeight(), screen.getWidth(), screen.getHeight(), false);
            OverlayPainter.paint(surface, boxes, fit, UNIT);
            PanelPainter.status(surface, status, UNIT);
            write("android-camera.png", screen);
        }
    }

    /** What the camera screen shows of a self-test that fails. */
    private void selfTest(File bad) throws Exception {
        try (Detector detector = Detector.open(bad, DetectorOptions.defaults())) {
            BufferedImage screen = blackWithImage(WIDTH, HEIGHT);
            String title = strings.get("alarm_selftest_title", detector.info().name());
            PanelPainter.alarm(new ImageSurface(screen), title, verdict(detector.selfTest()), UNIT);
            write("android-selftest.png", screen);
        }
    }

    private String verdict(SelfTest test) {
        for (SelfTest.Check check : test.checks()) {
            if (!check.ok()) {
                return strings.get("selftest_bad", check.stage(), String.format("%.2g", check.maxAbs()),
                        String.format("%.2g", check.tolerance()),
                        check.note().isEmpty() ? "" : " (" + check.note() + ")");
            }
        }
        throw new IllegalStateException("the damaged bundle passes its self-test");
    }

    private BufferedImage blackWithImage(int width, int height) {
        BufferedImage screen = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        ViewFit fit = ViewFit.inside(image.getWidth(), image.getHeight(), width, height, false);
        Graphics2D graphics = screen.createGraphics();
        graphics.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BICUBIC);
        int x = Math.round(fit.left());
        int y = Math.round(fit.top());
        graphics.drawImage(image, x, y, Math.round(fit.right()) - x, Math.round(fit.bottom()) - y, null);
        return screen;
    }

    private void write(String name, BufferedImage screen) throws Exception {
        File file = new File(out, name);
        ImageIO.write(screen, "png", file);
        System.out.println(file);
    }
}
