package io.pocketdet.app.draw;

import java.io.File;
import java.util.HashMap;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** Values of one kind that the app's resources have. */
final class Resources {
    private final Map<String, String> values = new HashMap<>();

    /** `kind`: "string" or "color". */
    Resources(File file, String kind) throws Exception {
        NodeList all = DocumentBuilderFactory.newInstance()
                               .newDocumentBuilder()
                               .parse(file)
                               .getDocumentElement()
                               .getElementsByTagName(kind);
        for (int i = 0; i < all.getLength(); i++) {
            values.put(((Element) all.item(i)).getAttribute("name"), all.item(i).getTextContent());
        }
    }

    String get(String name, Object... arguments) {
        String text = values.get(name).replace("\\u0020", " ").replace("\\n", "\n");
        return arguments.length == 0 ? text : String.format(text, arguments);
    }

    /** 0xAARRGGBB. */
    int colour(String name) {
        String digits = values.get(name).substring(1);
        return (int) Long.parseLong(digits.length() == 6 ? "FF" + digits : digits, 16);
    }
}
