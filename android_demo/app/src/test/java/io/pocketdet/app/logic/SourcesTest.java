package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.Test;

/** What holds of the app's files themselves: languages that say the same, packages that know no Android. */
public class SourcesTest {
    private static final Pattern STRING =
            Pattern.compile("<string name=\"(\\w+)\"([^>]*)>(.*?)</string>", Pattern.DOTALL);
    private static final Pattern PLAIN = Pattern.compile("package io\\.pocketdet\\.app\\.(logic|draw);");
    private static final Pattern COMMENT = Pattern.compile("(?m)^ *(/?\\*|//).*$");
    private static final Pattern ANDROID = Pattern.compile("\\bandroid\\.\\w+\\.");
    private static final Pattern ARGUMENT = Pattern.compile("%\\d\\$[sd]");

    /** app/src/main, from wherever the tests were started. */
    private static File main() {
        for (File from = new File("").getAbsoluteFile(); from != null; from = from.getParentFile()) {
            for (String way : new String[] {"src/main", "app/src/main", "android_demo/app/src/main"}) {
                if (new File(from, way + "/res/values/strings.xml").isFile()) {
                    return new File(from, way);
                }
            }
        }
        return null;
    }

    private static Map<String, String> strings(String folder) throws IOException {
        Map<String, String> found = new TreeMap<>();
        Matcher each = STRING.matcher(TemporaryFiles.read(new File(main(), "res/" + folder + "/strings.xml")));
        while (each.find()) {
            if (!each.group(2).contains("translatable=\"false\"")) {
                found.put(each.group(1), each.group(3));
            }
        }
        return found;
    }

    private static TreeSet<String> arguments(String text) {
        TreeSet<String> found = new TreeSet<>();
        Matcher each = ARGUMENT.matcher(text);
        while (each.find()) {
            found.add(each.group());
        }
        assertEquals(text, text.replace("%%", "").chars().filter(c -> c == '%').count(), found.size());
        return found;
    }

    @Test
    public void bothLanguagesSayTheSame() throws IOException {
        assertNotNull("no app/src/main above " + new File("").getAbsolutePath(), main());
        Map<String, String> english = strings("values");
        Map<String, String> german = strings("values-de");
        assertTrue(english.size() > 60);
        assertEquals(english.keySet(), german.keySet());
        for (String name : english.keySet()) {
            assertEquals(name, arguments(english.get(name)), arguments(german.get(name)));
        }
    }

    @Test
    public void noTextInLayoutsOrTheManifest() throws IOException {
        Pattern literal = Pattern.compile("android:(text|title|label|hint|contentDescription)=\"[^@]");
        for (Path file : files(".xml")) {
            assertFalse(file.toString(), literal.matcher(TemporaryFiles.read(file.toFile())).find());
        }
    }

    @Test
    public void logicAndPaintersKnowNoAndroid() throws IOException {
        int seen = 0;
        for (Path file : files(".java")) {
            String source = TemporaryFiles.read(file.toFile());
            if (PLAIN.matcher(source).find()) {
                String code = COMMENT.matcher(source).replaceAll("");
                assertFalse(file.toString(), ANDROID.matcher(code).find());
                seen++;
            }
        }
        assertTrue(seen > 20);
    }

    private static List<Path> files(String ending) throws IOException {
        try (Stream<Path> all = Files.walk(main().toPath())) {
            return all.filter(path -> path.toString().endsWith(ending)).collect(Collectors.toList());
        }
    }
}
