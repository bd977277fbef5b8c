package io.pocketdet.app.draw;

import io.pocketdet.Detections;
import io.pocketdet.Detector;
import io.pocketdet.DetectorOptions;
import io.pocketdet.Frame;
import io.pocketdet.SelfTest;
import io.pocketdet.app.logic.FrameStats;
import io.pocketdet.app.logic.StatusText;
import io.pocketdet.app.logic.ViewFit;
import java.awt.image.BufferedImage;
import java.io.File;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;

/**
 * Drawings of the app's screens with a real detector behind them: the app's painter of boxes, its strings and its
 * colours; see {@link PhoneScreen} for the rest. Times are those of the computer.
 *
 * <p>Arguments: resources, image, bundle, a bundle whose golden values are wrong, folder for the results.
 */
public final class DrawScreens {
    private static final int WIDTH = 360;
    private static final int HEIGHT = 720;
    private static final int FRAMES = 100;
    private static final int BLACK = 0xFF000000;
    private static final int WHITE = 0xFFFFFFFF;

    private final Resources texts;
    private final Resources day;
    private final Resources night;
    private final BufferedImage image;
    private final File out;

    private DrawScreens(File resources, File image, File out) throws Exception {
        texts = new Resources(new File(resources, "values/strings.xml"), "string");
        day = new Resources(new File(resources, "values/colors.xml"), "color");
        night = new Resources(new File(resources, "values-night/colors.xml"), "color");
        this.image = ImageIO.read(image);
        this.out = out;
    }

    public static void main(String[] arguments) throws Exception {
        Locale.setDefault(Locale.ENGLISH);
        DrawScreens screens = new DrawScreens(new File(arguments[0]), new File(arguments[1]), new File(arguments[4]));
        try (Detector detector = Detector.open(new File(arguments[2]), DetectorOptions.defaults())) {
            screens.camera(detector);
            screens.selfTest(detector);
        }
        try (Detector bad = Detector.open(new File(arguments[3]), DetectorOptions.defaults())) {
            screens.alarm(bad);
        }
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

    private void camera(Detector detector) throws Exception {
        FrameStats stats = new FrameStats();
        Detections found = null;
        for (int i = 0; i < FRAMES; i++) {
            found = detector.detect(frame());
            stats.add(found.times().total());
        }
        double[] parts = {found.times().pre(), found.times().infer(), found.times().post()};
        String[] formats = {texts.get("status_model"), texts.get("status_times"), texts.get("status_rates")};
        List<String> status = StatusText.lines(formats, detector.info().name(), detector.info().storage(), 1, "", parts,
                texts.get("status_rois", found.rois()), stats, Double.NaN);
        PhoneScreen screen = overImage(Box.of(found));
        screen.status(status, day.colour("panel"));
        write("android-camera.png", screen.finish());
    }

    /** What the camera screen shows of a self-test that fails. */
    private void alarm(Detector bad) throws Exception {
        PhoneScreen screen = overImage(new ArrayList<>());
        String title = texts.get("alarm_selftest_title", bad.info().name());
        for (SelfTest.Check check : bad.selfTest().checks()) {
            if (!check.ok()) {
                String message = texts.get("selftest_bad", check.stage(), number(check.maxAbs()),
                        number(check.tolerance()), check.note().isEmpty() ? "" : " (" + check.note() + ")");
                screen.alarm(title, message, day.colour("alarm"));
                write("android-alarm.png", screen.finish());
                return;
            }
        }
        throw new IllegalStateException("the damaged bundle passes its self-test");
    }

    /** The screen of the self-test, by day and by night. */
    private void selfTest(Detector detector) throws Exception {
        SelfTest test = detector.selfTest();
        int proved = test.checks().size() - test.notProved().size();
        StringBuilder text = new StringBuilder(detector.info().name() + " · " + detector.info().storage() + "\n\n"
                + texts.get("selftest_good", proved) + "\n");
        for (SelfTest.Check check : test.checks()) {
            text.append(
                    "\n\u2713 " + check.stage() + ": " + number(check.maxAbs()) + " / " + number(check.tolerance()));
        }
        for (Resources colours : new Resources[] {day, night}) {
            int bar = day.colour(colours == day ? "brand" : "brand_dark");
            PhoneScreen screen = new PhoneScreen(WIDTH, HEIGHT, texts.get("selftest_title"), bar,
                    colours.colour("background"), colours.colour("text"));
            screen.text(text.toString());
            write(colours == day ? "android-selftest-light.png" : "android-selftest-dark.png", screen.finish());
        }
    }

    private PhoneScreen overImage(List<Box> boxes) {
        PhoneScreen screen = new PhoneScreen(WIDTH, HEIGHT, texts.get("app_name"), BLACK, BLACK, WHITE);
        int height = Math.round(screen.image.getHeight() - screen.top());
        ViewFit fit = ViewFit.inside(image.getWidth(), image.getHeight(), screen.image.getWidth(), height, false);
        int top = Math.round(screen.top());
        screen.drawImage(image, Math.round(fit.left()), top + Math.round(fit.top()), Math.round(fit.right()),
                top + Math.round(fit.bottom()));
        BufferedImage below = screen.image.getSubimage(0, top, screen.image.getWidth(), screen.image.getHeight() - top);
        OverlayPainter.paint(new ImageSurface(below), boxes, fit, screen.unit());
        return screen;
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.2g", value);
    }

    private void write(String name, BufferedImage screen) throws Exception {
        File file = new File(out, name);
        ImageIO.write(screen, "png", file);
        System.out.println(file);
    }
}
