package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class BundlesTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();
    private File assets;
    private File files;

    @Before
    public void makeFolders() throws IOException {
        assets = folder.newFolder("assets");
        files = folder.newFolder("files");
    }

    private static BundleCatalog scan(File assets, File files) {
        return BundleCatalog.scan(assets, files, Collections.emptySet());
    }

    private static void add(File parent, String name, String manifest) throws IOException {
        TemporaryFiles.write(new File(parent, name), "manifest.json", manifest);
    }

    @Test
    public void allBundlesWithWhatAPickerShows() throws IOException {
        add(assets, "b.pocketdet", TemporaryFiles.manifest("second", "fp16", "fp16"));
        add(assets, "a.pocketdet", TemporaryFiles.manifest("first", "int8", "fp32"));
        add(files, "c.pocketdet", TemporaryFiles.manifest("pushed", "fp32", null));
        TemporaryFiles.write(files, "note.txt", "not a folder");
        BundleCatalog catalog = scan(assets, files);
        assertEquals(3, catalog.entries().size());
        BundleEntry first = catalog.entries().get(0);
        assertEquals("first", first.name);
        assertEquals("int8 / fp32", first.precision);
        assertEquals(480, first.width);
        assertEquals(320, first.height);
        assertEquals(2, first.classes);
        assertTrue(first.isUsable());
        assertEquals("fp16", catalog.entries().get(1).precision);
        assertEquals("fp32", catalog.entries().get(2).precision);
        assertEquals(BundleEntry.Origin.FILES, catalog.entries().get(2).origin);
    }

    @Test
    public void badOnesAreListedWithTheReason() throws IOException {
        new File(files, "a-empty").mkdir();
        add(files, "b-json", "{\"name\": ");
        add(files, "c-incomplete", "{\"name\": \"x\"}");
        add(files, "d-list", "[]");
        BundleCatalog catalog = scan(null, files);
        BundleEntry.Problem[] expected = {BundleEntry.Problem.NO_MANIFEST, BundleEntry.Problem.NO_JSON,
                BundleEntry.Problem.INCOMPLETE, BundleEntry.Problem.NO_JSON};
        String[] details = {"manifest.json", "no JSON: End of input at character 9 of {\"name\": ", "input",
                "no JSON: Value [] of type org.json.JSONArray cannot be converted to JSONObject"};
        assertEquals(expected.length, catalog.entries().size());
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], catalog.entries().get(i).problem);
            assertEquals(details[i], catalog.entries().get(i).detail);
            assertFalse(catalog.entries().get(i).isUsable());
        }
        assertNull(catalog.choose("anything").entry);
        assertNull(catalog.choose("anything").skipped);
        assertNull(catalog.find("b-json"));
    }

    @Test
    public void theRememberedOneElseTheFirst() throws IOException {
        add(assets, "a", "broken");
        add(assets, "b", TemporaryFiles.manifest("one", "fp32", null));
        add(files, "c", TemporaryFiles.manifest("two", "fp32", null));
        BundleCatalog catalog = scan(assets, files);
        assertEquals("two", catalog.choose("FILES/c").entry.name);
        assertEquals("two", catalog.choose("two").entry.name);
        assertEquals("one", catalog.choose("FILES/gone").entry.name);
        assertEquals("one", catalog.choose(null).entry.name);
        assertNull(catalog.find("ASSETS/a"));
    }

    @Test
    public void aDigestNamesTheBundleAsItIsNow() throws IOException {
        add(files, "a", TemporaryFiles.manifest("a", "fp32", null));
        String first = scan(null, files).find("a").digest;
        assertTrue(first, first.matches("[0-9a-f]{64}"));
        assertEquals(first, BundleCatalog.digest(new File(files, "a")));
        add(files, "a", TemporaryFiles.manifest("a", "fp16", null));
        assertNotEquals(first, BundleCatalog.digest(new File(files, "a")));
        add(files, "known", "abc");
        assertEquals("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                BundleCatalog.digest(new File(files, "known")));
        assertNull(BundleCatalog.digest(new File(files, "absent")));
    }

    @Test
    public void aBundleWhoseLoadDidNotReturnIsSkippedUntilItIsAnother() throws IOException {
        add(assets, "shipped", TemporaryFiles.manifest("shipped", "fp32", null));
        add(files, "bad", TemporaryFiles.manifest("bad", "fp32", null));
        String bad = BundleCatalog.digest(new File(files, "bad"));
        BundleCatalog.Selection found =
                BundleCatalog.scan(assets, files, Collections.singleton(bad)).choose("FILES/bad");
        assertEquals("shipped", found.entry.name);
        assertEquals("bad", found.skipped.name);
        assertFalse(found.skipped.returned);
        assertTrue(found.skipped.isUsable()); // it stays in the list, to be tried again
        add(files, "bad", TemporaryFiles.manifest("mended", "fp32", null));
        found = BundleCatalog.scan(assets, files, Collections.singleton(bad)).choose("FILES/bad");
        assertEquals("mended", found.entry.name);
        assertNull(found.skipped);
    }

    @Test
    public void noBundleIsLeftOrNoneWasEverChosen() throws IOException {
        add(assets, "a", TemporaryFiles.manifest("a", "fp32", null));
        add(files, "b", TemporaryFiles.manifest("b", "fp32", null));
        String a = BundleCatalog.digest(new File(assets, "a"));
        String b = BundleCatalog.digest(new File(files, "b"));
        BundleCatalog.Selection found = BundleCatalog.scan(assets, files, Collections.singleton(a)).choose(null);
        assertEquals("b", found.entry.name);
        assertEquals("a", found.skipped.name);
        found = BundleCatalog.scan(assets, files, new HashSet<>(Arrays.asList(a, b))).choose("b");
        assertNull(found.entry);
        assertEquals("b", found.skipped.name);
    }

    @Test
    public void aManifestThatWouldFillTheMemoryIsRefused() throws IOException {
        StringBuilder many = new StringBuilder("[0");
        for (int i = 0; i < 300_000; i++) {
            many.append(",0");
        }
        add(files, "a-many", many.append("]").toString());
        String name = new String(new char[201]).replace('\0', 'x');
        add(files, "b-name", TemporaryFiles.manifest(name, "fp32", null));
        try (RandomAccessFile huge = new RandomAccessFile(TemporaryFiles.write(files, "c/manifest.json", ""), "rw")) {
            huge.setLength((8 << 20) + 1);
        }
        BundleCatalog catalog = scan(null, files);
        assertEquals(BundleEntry.Problem.NO_JSON, catalog.entries().get(0).problem);
        assertTrue(catalog.entries().get(0).detail.contains("262144 values"));
        assertEquals(BundleEntry.Problem.INCOMPLETE, catalog.entries().get(1).problem);
        assertEquals("name", catalog.entries().get(1).detail);
        assertEquals(BundleEntry.Problem.UNREADABLE, catalog.entries().get(2).problem);
        assertNull(BundleCatalog.digest(new File(files, "c")));
    }

    @Test
    public void noFolders() {
        assertTrue(scan(new File(files, "absent"), null).entries().isEmpty());
    }

    /** Files by path; a file named in `broken` cannot be read. */
    private static final class Packed implements BundleUnpacker.Tree {
        final Map<String, String> files = new TreeMap<>();
        final Set<String> opened = new TreeSet<>();
        String broken = "";

        @Override
        public String[] list(String path) {
            Set<String> names = new TreeSet<>();
            for (String file : files.keySet()) {
                if (file.startsWith(path + "/")) {
                    names.add(file.substring(path.length() + 1).split("/")[0]);
                }
            }
            return names.toArray(new String[0]);
        }

        @Override
        public InputStream open(String path) throws IOException {
            if (path.equals(broken)) {
                throw new IOException("no space left");
            }
            opened.add(path);
            return new ByteArrayInputStream(files.get(path).getBytes(StandardCharsets.UTF_8));
        }
    }

    @Test
    public void unpackedOnceAndAgainWhenTheManifestChanges() throws IOException {
        Packed packed = new Packed();
        packed.files.put("bundles/a/manifest.json", "one");
        packed.files.put("bundles/a/golden/image.png", "image");
        packed.files.put("bundles/README.txt", "no bundle");
        BundleUnpacker.unpack(packed, "bundles", assets);
        assertEquals("image", TemporaryFiles.read(new File(assets, "a/golden/image.png")));
        assertFalse(new File(assets, "README.txt").exists());
        packed.opened.clear();
        BundleUnpacker.unpack(packed, "bundles", assets);
        assertEquals("[bundles/a/manifest.json]", packed.opened.toString());
        packed.files.put("bundles/a/manifest.json", "two");
        packed.files.remove("bundles/a/golden/image.png");
        BundleUnpacker.unpack(packed, "bundles", assets);
        assertEquals("two", TemporaryFiles.read(new File(assets, "a/manifest.json")));
        assertFalse(new File(assets, "a/golden").exists());
        packed.files.remove("bundles/a/manifest.json");
        BundleUnpacker.unpack(packed, "bundles", assets);
        assertEquals(0, assets.list().length);
    }

    @Test
    public void anInterruptedCopyIsNoBundle() throws IOException {
        Packed packed = new Packed();
        packed.files.put("bundles/a/manifest.json", TemporaryFiles.manifest("whole", "fp32", null));
        packed.files.put("bundles/a/z.bin", "weights");
        packed.broken = "bundles/a/z.bin";
        try {
            BundleUnpacker.unpack(packed, "bundles", assets);
            fail();
        } catch (IOException error) {
            assertEquals("no space left", error.getMessage());
        }
        assertTrue(scan(assets, null).entries().isEmpty());
        packed.broken = "";
        BundleUnpacker.unpack(packed, "bundles", assets);
        assertEquals("whole", scan(assets, null).choose(null).entry.name);
        assertEquals(1, assets.list().length);
    }
}
