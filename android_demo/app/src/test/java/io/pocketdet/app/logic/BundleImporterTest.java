package io.pocketdet.app.logic;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class BundleImporterTest {
    private static final String MANIFEST = TemporaryFiles.manifest("a", "fp16", "fp16");
    private static final BundleImporter.Check ACCEPTED = (folder, digest) -> {
    };

    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private interface Writer {
        void write(ZipOutputStream zip) throws IOException;
    }

    private static byte[] zip(Writer writer) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            writer.write(zip);
        }
        return bytes.toByteArray();
    }

    private static void put(ZipOutputStream zip, String name, byte[] content) throws IOException {
        zip.putNextEntry(new ZipEntry(name));
        zip.write(content);
        zip.closeEntry();
    }

    private static void put(ZipOutputStream zip, String name, String content) throws IOException {
        put(zip, name, content.getBytes(StandardCharsets.UTF_8));
    }

    private File unpack(byte[] zip, BundleImporter.Check check) throws IOException {
        return BundleImporter.unpack(new ByteArrayInputStream(zip), folder.getRoot(), check);
    }

    /** A refusal with these words, of which nothing stays, in the folder or beside it. */
    private void refused(String words, byte[] zip, BundleImporter.Check check) {
        String message = assertThrows(IOException.class, () -> unpack(zip, check)).getMessage();
        assertTrue(message, message.contains(words));
        assertArrayEquals(new String[0], folder.getRoot().list());
    }

    @Test
    public void aBundleIsSeenWhenItsCheckHasPassed() throws IOException {
        byte[] sound = zip(zip -> {
            put(zip, "manifest.json", MANIFEST);
            put(zip, "golden/", "");
            put(zip, "golden/image.png", "pixels");
        });
        File made = unpack(sound, (part, digest) -> {
            assertEquals("pixels", TemporaryFiles.read(new File(part, "golden/image.png")));
            assertEquals(BundleCatalog.digest(part), digest);
            assertEquals(0, BundleCatalog.scan(null, folder.getRoot(), Collections.emptySet()).entries().size());
        });
        assertEquals(BundleCatalog.digest(made).substring(0, 16) + ".pocketdet", made.getName());
        assertEquals(made, unpack(sound, ACCEPTED)); // again
        assertArrayEquals(new String[] {made.getName()}, folder.getRoot().list());
    }

    @Test
    public void whatTheCheckRefusesLeavesNothing() throws IOException {
        byte[] sound = zip(zip -> put(zip, "manifest.json", MANIFEST));
        refused("another digest", sound, (part, digest) -> { throw new IOException("another digest"); });
        assertThrows(IllegalStateException.class,
                () -> unpack(sound, (part, digest) -> { throw new IllegalStateException(); }));
        assertEquals(0, folder.getRoot().list().length);
    }

    @Test
    public void namesThatLeaveTheBundle() throws IOException {
        File parent = folder.getRoot().getParentFile();
        for (String name : new String[] {"../evil", "/tmp/evil", "a/../../evil", "a\\..\\evil", "C:evil", ".evil",
                     "a//b", "a/b/c/d/e", "", "ü", String.join("", Collections.nCopies(101, "a"))}) {
            byte[] zip = zip(out -> put(out, name, "evil"));
            refused("is not a plain path inside the bundle", zip, ACCEPTED);
            assertTrue(name, !new File(parent, "evil").exists());
        }
    }

    @Test
    public void bombs() throws IOException {
        byte[] zeros = new byte[1 << 20];
        refused("unpacks to more than a bundle may have", zip(zip -> {
            zip.putNextEntry(new ZipEntry("weights.bin"));
            for (int i = 0; i < 70; i++) {
                zip.write(zeros);
            }
        }),
                ACCEPTED);
        refused("is one of more than 256", zip(zip -> {
            for (int i = 0; i < 300; i++) {
                put(zip, "file" + i, "");
            }
        }),
                ACCEPTED);
    }

    @Test
    public void whatIsNoBundle() throws IOException {
        refused("no manifest.json at its top", "not a zip".getBytes(StandardCharsets.UTF_8), ACCEPTED);
        refused("no manifest.json at its top", new byte[0], ACCEPTED);
        refused("no manifest.json at its top", zip(zip -> put(zip, "a.pocketdet/manifest.json", MANIFEST)), ACCEPTED);
        byte[] sound = zip(zip -> put(zip, "manifest.json", MANIFEST));
        assertThrows(IOException.class, () -> unpack(Arrays.copyOf(sound, 60), ACCEPTED)); // cut off
        assertThrows(IOException.class,
                ()
                        -> unpack(zip(zip -> {
                    put(zip, "a", "a file");
                    put(zip, "a/b", "in what is a file");
                }),
                                ACCEPTED));
        assertEquals(0, folder.getRoot().list().length);
    }
}
