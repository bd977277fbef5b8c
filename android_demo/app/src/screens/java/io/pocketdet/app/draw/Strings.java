package io.pocketdet.app.draw;

import java.io.File;
import java.util.HashMap;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** The app's own strings, read from its resources. */
final class Strings {
    private final Map<String, String> values = new HashMap<>();

    Strings(File file) throws Exception {
        NodeList all = DocumentBuilderFactory.newInstance()
                               .newDocumentBuilder()
                               .parse(file)
                               .getDocumentElement()
                               .getElementsByTagName("string");
        for (int i = 0; i < all.getLength(); i++) {
            values.put(((Element) all.item(i)).getAttribute("name"), all.item(i).getTextContent());
        }
    }

    String get(String name, Object... arguments) {
        String text = values.get(name).replace("\\u0020", " ").replace("\\n", "\n");
        return arguments.length == 0 ? text : String.format(text, arguments);
    }
}
