package io.pocketdet.app.logic;

import org.json.JSONException;
import org.json.JSONObject;

/** JSON documents, read with Android's own reader after a check of their extent. */
final class Documents {
    private static final int DEEPEST = 64;
    private static final int MOST_VALUES = 1 << 18; // some 20 MB of objects

    private Documents() {
    }

    /** The object that a document is. Throws IllegalArgumentException with a sentence where it is none. */
    static JSONObject parse(String text) {
        checkExtent(text);
        try {
            return new JSONObject(text);
        } catch (JSONException | StackOverflowError error) { // the reader takes more forms than checkExtent knows
            throw new IllegalArgumentException("no JSON: " + error.getMessage(), error);
        }
    }

    /** The value behind some names of nested objects; null where a name is missing or the value has another type. */
    static <T> T find(JSONObject document, Class<T> type, String... names) {
        Object value = document;
        for (String name : names) {
            value = value instanceof JSONObject ? ((JSONObject) value).opt(name) : null;
        }
        return type.isInstance(value) ? type.cast(value) : null;
    }

    /** The reader calls itself for each level and bounds nothing. */
    private static void checkExtent(String text) {
        int depth = 0;
        int values = 0;
        boolean quoted = false;
        for (int i = 0; i < text.length(); i++) {
            char next = text.charAt(i);
            if (quoted) {
                i += next == '\\' ? 1 : 0;
                quoted = next != '"';
                continue;
            }
            quoted = next == '"';
            depth += next == '{' || next == '[' ? 1 : next == '}' || next == ']' ? -1 : 0;
            values += next == ',' || next == ':' || next == ';' ? 1 : 0;
            if (depth > DEEPEST || values > MOST_VALUES) {
                throw new IllegalArgumentException("no JSON: expected at most " + DEEPEST + " levels and " + MOST_VALUES
                        + " values, found more at character " + i);
            }
        }
    }
}
