package io.pocketdet.app.logic;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A strict reader of JSON (RFC 8259) into Map, List, String, Double, Boolean and null. It exists so that this package
 * runs in any JVM: Android's own reader cannot be tested outside a phone.
 */
public final class Json {
    private static final int DEEPEST = 64;
    private static final int MOST_VALUES = 1 << 18; // some 20 MB of objects

    private final String text;
    private int at;
    private int values;

    private Json(String text) {
        this.text = text;
    }

    /** The value of a whole document. Throws IllegalArgumentException that says where it is no JSON. */
    public static Object parse(String text) {
        Json reader = new Json(text);
        Object value = reader.value(0);
        reader.space();
        if (reader.at < text.length()) {
            throw reader.wrong("the end");
        }
        return value;
    }

    /** The value behind some names of nested objects; null where a name is missing or the value has another type. */
    public static <T> T find(Object document, Class<T> type, String... names) {
        Object value = document;
        for (String name : names) {
            value = value instanceof Map ? ((Map < ?, ? >) value).get(name) : null;
        }
        return type.isInstance(value) ? type.cast(value) : null;
    }

    private Object value(int depth) {
        space();
        if (depth > DEEPEST) {
            throw wrong("fewer levels");
        }
        if (++values > MOST_VALUES) {
            throw wrong("at most " + MOST_VALUES + " values");
        }
        char next = at < text.length() ? text.charAt(at) : 0;
        switch (next) {
            case '{':
                return object(depth);
            case '[':
                return array(depth);
            case '"':
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> object(int depth) {
        Map<String, Object> found = new LinkedHashMap<>();
        at++;
        if (comes('}')) {
            return found;
        }
        do {
            space();
            if (at >= text.length() || text.charAt(at) != '"') {
                throw wrong("a name");
            }
            String name = string();
            if (!comes(':')) {
                throw wrong("':'");
            }
            found.put(name, value(depth + 1));
        } while (comes(','));
        if (!comes('}')) {
            throw wrong("'}'");
        }
        return found;
    }

    private List<Object> array(int depth) {
        List<Object> found = new ArrayList<>();
        at++;
        if (comes(']')) {
            return found;
        }
        do {
            found.add(value(depth + 1));
        } while (comes(','));
        if (!comes(']')) {
            throw wrong("']'");
        }
        return found;
    }

    private String string() {
        StringBuilder found = new StringBuilder();
        for (at++; at < text.length(); at++) {
            char next = text.charAt(at);
            if (next == '"') {
                at++;
                return found.toString();
            }
            if (next < ' ') {
                break;
            }
            found.append(next == '\\' ? escaped() : next);
        }
        throw wrong("the end of a string");
    }

    private char escaped() {
        at++;
        char next = at < text.length() ? text.charAt(at) : 0;
        int plain = "\"\\/bfnrt".indexOf(next);
        if (plain >= 0 && next != 0) {
            return "\"\\/\b\f\n\r\t".charAt(plain);
        }
        if (next != 'u' || at + 4 >= text.length()) {
            throw wrong("an escape");
        }
        int code = 0;
        for (int i = 0; i < 4; i++) {
            int digit = Character.digit(text.charAt(++at), 16);
            if (digit < 0) {
                throw wrong("four hexadecimal digits");
            }
            code = 16 * code + digit;
        }
        return (char) code;
    }

    private Double number() {
        int start = at;
        while (at < text.length() && "+-.0123456789eE".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        String found = text.substring(start, at);
        if (!found.matches("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")) {
            at = start;
            throw wrong("a value");
        }
        return Double.valueOf(found);
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw wrong("a value");
        }
        at += word.length();
        return value;
    }

    private boolean comes(char wanted) {
        space();
        boolean here = at < text.length() && text.charAt(at) == wanted;
        at += here ? 1 : 0;
        return here;
    }

    private void space() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private IllegalArgumentException wrong(String expected) {
        return new IllegalArgumentException("no JSON at character " + at + ": expected " + expected);
    }
}
