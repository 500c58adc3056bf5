package everhold.interop;

import jakarta.jms.Message;
import jakarta.jms.MessageFormatException;
import jakarta.jms.Session;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Properties of every type, with values at the edges. */
final class Properties {
  private Properties() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("every type keeps its type and value", Properties::everyType)
        .add("strings of every length and alphabet", Properties::strings)
        .add("names of every alphabet", Properties::names)
        .add("a thousand properties", Properties::many)
        .add("a property that is null", Properties::nullValue)
        .add("values are read as other types where JMS says so", Properties::conversions)
        .add("properties that JMS does not allow are refused", Properties::refused)
        .add("a message may have no property of its own", Properties::none)
        .run();
  }

  private static void everyType(Scene scene) throws Exception {
    Session session = scene.session();
    Map<String, Object> expected = new LinkedHashMap<>();
    for (Object value : Bodies.VALUES) {
      boolean isAllowed = !(value instanceof byte[]) && !(value instanceof Character);
      if (isAllowed) expected.put("value" + expected.size(), value);
    }
    Message message = session.createTextMessage("with properties");
    for (var entry : expected.entrySet()) {
      message.setObjectProperty(entry.getKey(), entry.getValue());
    }
    checkEqual(expected, Bodies.roundTrip(scene, session, List.of(message)).get(0));
  }

  private static void strings(Scene scene) throws Exception {
    Session session = scene.session();
    Map<String, Object> expected = new LinkedHashMap<>();
    for (int length : Bodies.LENGTHS) {
      for (String piece : List.of("x", "\u00e9", "\u20ac", "\ud83d\ude00")) {
        String text = piece.repeat(length).substring(0, length);
        expected.put("string" + expected.size(), text);
      }
    }
    List<Message> messages = new ArrayList<>();
    for (var entry : expected.entrySet()) {
      Message message = session.createMessage();
      message.setObjectProperty(entry.getKey(), entry.getValue());
      messages.add(message);
    }
    List<Message> received = Bodies.roundTrip(scene, session, messages);
    int index = 0;
    for (var entry : expected.entrySet()) {
      checkEqual(Map.of(entry.getKey(), entry.getValue()), received.get(index));
      index += 1;
    }
  }

  private static void names(Scene scene) throws Exception {
    Session session = scene.session();
    Map<String, Object> expected = new LinkedHashMap<>();
    expected.put("a", 1);
    expected.put("$dollar", 2);
    expected.put("_underscore", 3);
    expected.put("\u00fcber", 4);
    expected.put("\u65e5\u672c", 5);
    expected.put("\u0410\u0431\u0432", 6);
    expected.put("n".repeat(4_096), 7);
    Message message = session.createMessage();
    for (var entry : expected.entrySet()) {
      message.setObjectProperty(entry.getKey(), entry.getValue());
    }
    checkEqual(expected, Bodies.roundTrip(scene, session, List.of(message)).get(0));
  }

  private static void many(Scene scene) throws Exception {
    Session session = scene.session();
    Map<String, Object> expected = new LinkedHashMap<>();
    Message message = session.createMessage();
    for (int number = 0; number < 1_000; number += 1) {
      expected.put("property" + number, number);
      message.setIntProperty("property" + number, number);
    }
    checkEqual(expected, Bodies.roundTrip(scene, session, List.of(message)).get(0));
  }

  private static void nullValue(Scene scene) throws Exception {
    Session session = scene.session();
    Message message = session.createMessage();
    message.setStringProperty("string", null);
    message.setObjectProperty("object", null);
    message.setStringProperty("last", "last");
    Message received = Bodies.roundTrip(scene, session, List.of(message)).get(0);
    Check.equal(null, received.getStringProperty("string"), "the string");
    Check.equal(null, received.getObjectProperty("object"), "the object");
    Check.equal(true, received.propertyExists("string"), "whether the string exists");
    Check.equal("last", received.getStringProperty("last"), "the last one");
    Check.fails(NumberFormatException.class, "null as int", () -> received.getIntProperty("string"));
  }

  private static void conversions(Scene scene) throws Exception {
    Session session = scene.session();
    Message message = session.createMessage();
    message.setByteProperty("byte", (byte) -5);
    message.setIntProperty("int", 42);
    message.setStringProperty("digits", "123");
    message.setFloatProperty("float", 1.5f);
    message.setBooleanProperty("boolean", true);
    Message received = Bodies.roundTrip(scene, session, List.of(message)).get(0);
    Check.equal(-5L, received.getLongProperty("byte"), "a byte as a long");
    Check.equal((short) -5, received.getShortProperty("byte"), "a byte as a short");
    Check.equal("42", received.getStringProperty("int"), "an int as text");
    Check.equal(123, received.getIntProperty("digits"), "text as an int");
    Check.equal(1.5d, received.getDoubleProperty("float"), "a float as a double");
    Check.equal("true", received.getStringProperty("boolean"), "a boolean as text");
    Check.equal(null, received.getStringProperty("absent"), "what is not there");
    Check.equal(false, received.getBooleanProperty("absent"), "what is not there as a boolean");
    Check.fails(MessageFormatException.class, "int as byte", () -> received.getByteProperty("int"));
    Check.fails(
        MessageFormatException.class, "float as int", () -> received.getIntProperty("float"));
  }

  private static void refused(Scene scene) throws Exception {
    Session session = scene.session();
    Message message = session.createMessage();
    Check.fails(
        IllegalArgumentException.class, "no name", () -> message.setIntProperty("", 1));
    Check.fails(
        MessageFormatException.class,
        "a list",
        () -> message.setObjectProperty("list", List.of()));
  }

  private static void none(Scene scene) throws Exception {
    Session session = scene.session();
    Message received = Bodies.roundTrip(scene, session, List.of(session.createMessage())).get(0);
    checkEqual(Map.of(), received);
    List<String> names = Collections.list(received.getPropertyNames());
    Check.equal(List.of("JMSXDeliveryCount"), names, "the names of properties");
  }

  /** Fails unless a message has exactly these properties, and the count of deliveries. */
  private static void checkEqual(Map<String, Object> expected, Message message) throws Exception {
    for (var entry : expected.entrySet()) {
      Check.that(message.propertyExists(entry.getKey()), entry.getKey() + " is missing");
      Check.equal(entry.getValue(), message.getObjectProperty(entry.getKey()), entry.getKey());
    }
    List<String> names = new ArrayList<>(Collections.list(message.getPropertyNames()));
    names.removeAll(expected.keySet());
    Check.equal(List.of("JMSXDeliveryCount"), names, "the names of other properties");
  }
}
