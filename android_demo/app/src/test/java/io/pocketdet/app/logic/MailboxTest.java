package io.pocketdet.app.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.Test;

public class MailboxTest {
    @Test
    public void theLatestWins() throws InterruptedException {
        Mailbox<String> box = new Mailbox<>();
        assertNull(box.put("first"));
        assertEquals("first", box.put("second"));
        assertEquals("second", box.take());
        assertNull(box.put("third"));
        assertEquals("third", box.take());
    }

    @Test
    public void nothingIsTakenAfterClose() throws InterruptedException {
        Mailbox<String> box = new Mailbox<>();
        box.put("left");
        assertEquals("left", box.close());
        assertNull(box.close());
        assertNull(box.take());
        assertEquals("late", box.put("late"));
    }

    @Test(timeout = 10_000)
    public void closeWakesWhoWaits() throws InterruptedException {
        Mailbox<String> box = new Mailbox<>();
        List<String> taken = Collections.synchronizedList(new ArrayList<>());
        Thread waiting = new Thread(() -> {
            try {
                taken.add(String.valueOf(box.take()));
            } catch (InterruptedException error) {
                taken.add("interrupted");
            }
        });
        waiting.start();
        box.close();
        waiting.join();
        assertEquals(Collections.singletonList("null"), taken);
    }

    @Test(timeout = 30_000)
    public void everyItemHasOneOwner() throws InterruptedException {
        int count = 50_000;
        Mailbox<Integer> box = new Mailbox<>();
        List<Integer> taken = new ArrayList<>();
        Thread reader = new Thread(() -> {
            try {
                for (Integer item = box.take(); item != null; item = box.take()) {
                    taken.add(item);
                }
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
        });
        reader.start();
        List<Integer> all = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            Integer displaced = box.put(i);
            if (displaced != null) {
                all.add(displaced);
            }
        }
        Integer left = box.close();
        reader.join();
        if (left != null) {
            all.add(left);
        }
        assertTrue(ascending(taken));
        all.addAll(taken);
        Collections.sort(all);
        assertEquals(count, all.size());
        for (int i = 0; i < count; i++) {
            assertEquals(i, (int) all.get(i));
        }
    }

    private static boolean ascending(List<Integer> numbers) {
        for (int i = 1; i < numbers.size(); i++) {
            if (numbers.get(i) <= numbers.get(i - 1)) {
                return false;
            }
        }
        return true;
    }
}
