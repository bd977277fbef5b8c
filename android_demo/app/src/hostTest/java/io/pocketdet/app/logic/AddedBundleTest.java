package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.pocketdet.BundleException;
import io.pocketdet.Detector;
import io.pocketdet.DetectorOptions;
import io.pocketdet.GraphException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** Zip files of sound and damaged bundles, checked by the native library as in the app. */
public class AddedBundleTest {
    private static final File FIXTURES = new File(System.getProperty("pocketdet.fixtures"));

    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private File add(File bundle) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes); Stream<Path> all = Files.walk(bundle.toPath())) {
            List<Path> files = all.filter(Files::isRegularFile).collect(Collectors.toList());
            for (Path file : files) {
                zip.putNextEntry(new ZipEntry(bundle.toPath().relativize(file).toString()));
                Files.copy(file, zip);
            }
        }
        return BundleImporter.unpack(new ByteArrayInputStream(bytes.toByteArray()), folder.getRoot(),
                (part, digest) -> Detector.open(part, DetectorOptions.builder().digest(digest).build()).close());
    }

    private List<BundleEntry> shown() {
        return BundleCatalog.scan(null, folder.getRoot(), Collections.emptySet()).entries();
    }

    @Test
    public void aSoundBundleIsShown() throws IOException {
        File added = add(new File(FIXTURES, "bundles/tiny.pocketdet"));
        assertEquals(1, shown().size());
        assertEquals(added, shown().get(0).folder);
        assertTrue(shown().get(0).isUsable());
    }

    @Test
    public void damagedOnesAreNot() {
        for (String name : new String[] {"no-weights", "wrong-hash", "truncated", "newer-schema", "wrong-type"}) {
            assertThrows(name, BundleException.class, () -> add(new File(FIXTURES, "damaged/" + name + ".pocketdet")));
        }
        for (String name : new String[] {"unknown-layer", "other-weights"}) {
            assertThrows(name, GraphException.class, () -> add(new File(FIXTURES, "damaged/" + name + ".pocketdet")));
        }
        assertEquals(0, shown().size());
        assertEquals(0, folder.getRoot().list().length);
    }
}
