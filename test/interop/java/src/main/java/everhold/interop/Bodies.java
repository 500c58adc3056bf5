package everhold.interop;

import jakarta.jms.BytesMessage;
import jakarta.jms.JMSException;
import jakarta.jms.MapMessage;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageEOFException;
import jakarta.jms.MessageFormatException;
import jakarta.jms.MessageNotReadableException;
import jakarta.jms.MessageNotWriteableException;
import jakarta.jms.MessageProducer;
import jakarta.jms.ObjectMessage;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.StreamMessage;
import jakarta.jms.TextMessage;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Every kind of body with values at the edges. */
final class Bodies {
  /** Every value that maps and streams may hold, at its edges. */
  static final List<Object> VALUES =
      List.of(
          true, false,
          Byte.MIN_VALUE, (byte) 0, Byte.MAX_VALUE,
          Short.MIN_VALUE, (short) -1, Short.MAX_VALUE,
          Character.MIN_VALUE, 'x', '\u00e9', '\ud83d', Character.MAX_VALUE,
          Integer.MIN_VALUE, 0, Integer.MAX_VALUE,
          Long.MIN_VALUE, (1L << 53) + 1, Long.MAX_VALUE,
          Float.MIN_VALUE, -0f, Float.NaN, Float.NEGATIVE_INFINITY, Float.MAX_VALUE,
          Double.MIN_VALUE, -0d, Double.NaN, Double.POSITIVE_INFINITY, Double.MAX_VALUE,
          "", "text", "\u0000", "\ud83d\ude00 \u65e5\u672c", "\ud83d",
          new byte[0], new byte[] {Byte.MIN_VALUE, -1, 0, 1, Byte.MAX_VALUE});

  /** Lengths around those at which clients change how they write a string, and beyond. */
  static final int[] LENGTHS = {0, 1, 8, 9, 4_094, 4_095, 4_096, 21_845, 70_000};

  private Bodies() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("text of every length and alphabet", Bodies::text)
        .add("text that is null", Bodies::nullText)
        .add("bytes of every value and length", Bodies::bytes)
        .add("bytes written and read as values of every type", Bodies::primitives)
        .add("maps with values of every type", Bodies::map)
        .add("streams with values of every type", Bodies::stream)
        .add("objects, and an object that is null", Bodies::object)
        .add("messages without a body", Bodies::none)
        .add("a body is read by the class of its content", Bodies::byClass)
        .add("a received message cannot be written until it is cleared", Bodies::readOnly)
        .add("a received message is sent on as it is", Bodies::forwarded)
        .run();
  }

  private static void text(Scene scene) throws Exception {
    Session session = scene.session();
    List<String> texts = new ArrayList<>(List.of("a\u0000b", "\ud83d", "\ude00\ud83d", "\uffff\ufffe"));
    for (int length : LENGTHS) {
      for (String piece : List.of("x", "\u00e9", "\u20ac", "\ud83d\ude00")) {
        texts.add(piece.repeat(length).substring(0, length));
      }
    }
    List<Message> messages = new ArrayList<>();
    for (String text : texts) messages.add(session.createTextMessage(text));
    List<Message> received = roundTrip(scene, session, messages);
    for (int index = 0; index < texts.size(); index += 1) {
      TextMessage message = (TextMessage) received.get(index);
      Check.equal(texts.get(index), message.getText(), "text " + index);
    }
  }

  private static void nullText(Scene scene) throws Exception {
    Session session = scene.session();
    TextMessage set = session.createTextMessage("something");
    set.setText(null);
    List<Message> messages = List.of(session.createTextMessage(), session.createTextMessage(null), set);
    for (Message message : roundTrip(scene, session, messages)) {
      Check.equal(null, ((TextMessage) message).getText(), "the text");
    }
  }

  private static void bytes(Scene scene) throws Exception {
    Session session = scene.session();
    List<byte[]> bodies = new ArrayList<>();
    for (int length : new int[] {0, 1, 256, 4_095, 70_000}) {
      byte[] body = new byte[length];
      for (int index = 0; index < length; index += 1) body[index] = (byte) (index * 7);
      bodies.add(body);
    }
    List<Message> messages = new ArrayList<>();
    for (byte[] body : bodies) {
      BytesMessage message = session.createBytesMessage();
      message.writeBytes(body);
      messages.add(message);
    }
    List<Message> received = roundTrip(scene, session, messages);
    for (int index = 0; index < bodies.size(); index += 1) {
      BytesMessage message = (BytesMessage) received.get(index);
      byte[] expected = bodies.get(index);
      Check.equal((long) expected.length, message.getBodyLength(), "the length of body " + index);
      byte[] found = new byte[expected.length];
      int count = expected.length == 0 ? 0 : message.readBytes(found);
      Check.equal(expected.length, count, "the count of bytes read");
      Check.equal(expected, found, "body " + index);
      Check.equal(-1, message.readBytes(new byte[1]), "what is read at the end");
      Check.fails(MessageEOFException.class, "a read beyond the end", message::readByte);
      message.reset();
      if (expected.length > 0) Check.equal(expected[0], message.readByte(), "the first byte again");
    }
  }

  private static void primitives(Scene scene) throws Exception {
    Session session = scene.session();
    BytesMessage message = session.createBytesMessage();
    for (Object value : VALUES) {
      if (value instanceof String text) message.writeUTF(text);
      else message.writeObject(value);
    }
    message.writeByte((byte) 200);
    message.writeShort((short) 60_000);
    message.writeBytes(new byte[] {1, 2, 3, 4}, 1, 2);
    BytesMessage received = (BytesMessage) roundTrip(scene, session, List.of(message)).get(0);
    for (Object value : VALUES) Check.equal(value, readLike(received, value), "the next value");
    Check.equal(200, received.readUnsignedByte(), "the unsigned byte");
    Check.equal(60_000, received.readUnsignedShort(), "the unsigned short");
    Check.equal((byte) 2, received.readByte(), "the first of the slice");
    Check.equal((byte) 3, received.readByte(), "the second of the slice");
    Check.fails(MessageEOFException.class, "a read beyond the end", received::readByte);
  }

  private static Object readLike(BytesMessage message, Object value) throws JMSException {
    if (value instanceof Boolean) return message.readBoolean();
    if (value instanceof Byte) return message.readByte();
    if (value instanceof Short) return message.readShort();
    if (value instanceof Character) return message.readChar();
    if (value instanceof Integer) return message.readInt();
    if (value instanceof Long) return message.readLong();
    if (value instanceof Float) return message.readFloat();
    if (value instanceof Double) return message.readDouble();
    if (value instanceof String) return message.readUTF();
    byte[] bytes = new byte[((byte[]) value).length];
    if (bytes.length > 0) message.readBytes(bytes);
    return bytes;
  }

  private static void map(Scene scene) throws Exception {
    Session session = scene.session();
    Map<String, Object> expected = new LinkedHashMap<>();
    for (Object value : VALUES) expected.put("value" + expected.size(), value);
    expected.put("null", null);
    expected.put("\u65e5\u672c \ud83d\ude00", "name");
    for (int length : LENGTHS) {
      if (length > 0) expected.put("long" + length, "\u00e9".repeat(length));
    }
    MapMessage full = session.createMapMessage();
    for (var entry : expected.entrySet()) full.setObject(entry.getKey(), entry.getValue());
    List<Message> received =
        roundTrip(scene, session, List.of(full, session.createMapMessage()));
    MapMessage message = (MapMessage) received.get(0);
    List<String> names = Collections.list(message.getMapNames());
    Check.equal(expected.size(), names.size(), "the count of names");
    for (var entry : expected.entrySet()) {
      Check.that(message.itemExists(entry.getKey()), entry.getKey() + " is missing");
      Check.equal(entry.getValue(), message.getObject(entry.getKey()), entry.getKey());
    }
    Check.equal("true", message.getString("value0"), "a boolean as text");
    Check.equal((long) Integer.MIN_VALUE, message.getLong("value13"), "an int as a long");
    Check.fails(MessageFormatException.class, "a long as an int", () -> message.getInt("value17"));
    Check.equal(null, message.getObject("absent"), "what is not there");
    Check.equal(false, message.itemExists("absent"), "whether it is there");
    Check.equal(false, ((MapMessage) received.get(1)).getMapNames().hasMoreElements(), "an empty map");
  }

  private static void stream(Scene scene) throws Exception {
    Session session = scene.session();
    StreamMessage full = session.createStreamMessage();
    List<Object> values = new ArrayList<>(VALUES);
    for (int length : LENGTHS) values.add("\u20ac".repeat(length));
    for (Object value : values) full.writeObject(value);
    full.writeString(null);
    full.writeBytes(new byte[] {1, 2, 3, 4}, 1, 2);
    List<Message> received =
        roundTrip(scene, session, List.of(full, session.createStreamMessage()));
    StreamMessage message = (StreamMessage) received.get(0);
    for (Object value : values) Check.equal(value, message.readObject(), "the next value");
    Check.equal(null, message.readString(), "the text that is null");
    Check.equal(new byte[] {2, 3}, message.readObject(), "the slice");
    Check.fails(MessageEOFException.class, "a read beyond the end", message::readObject);
    message.reset();
    Check.equal("true", message.readString(), "a boolean as text");
    StreamMessage empty = (StreamMessage) received.get(1);
    Check.fails(MessageEOFException.class, "a read of an empty stream", empty::readObject);
  }

  /** Something of our own that travels serialized. */
  record Order(String item, int count, List<String> notes) implements Serializable {}

  private static void object(Scene scene) throws Exception {
    Session session = scene.session();
    Order order = new Order("apples \ud83d\ude00", 2, new ArrayList<>(List.of("a", "b".repeat(70_000))));
    List<Message> received =
        roundTrip(
            scene,
            session,
            List.of(
                session.createObjectMessage(order),
                session.createObjectMessage("text"),
                session.createObjectMessage(),
                session.createObjectMessage(null)));
    Check.equal(order, ((ObjectMessage) received.get(0)).getObject(), "the order");
    Check.equal("text", ((ObjectMessage) received.get(1)).getObject(), "the text");
    Check.equal(null, ((ObjectMessage) received.get(2)).getObject(), "no object");
    Check.equal(null, ((ObjectMessage) received.get(3)).getObject(), "null");
  }

  private static void none(Scene scene) throws Exception {
    Session session = scene.session();
    Message message = session.createMessage();
    message.setStringProperty("only", "a property");
    Message received = roundTrip(scene, session, List.of(message)).get(0);
    Check.that(!(received instanceof TextMessage), "it came as text");
    Check.that(!(received instanceof BytesMessage), "it came as bytes");
    Check.equal("a property", received.getStringProperty("only"), "the property");
  }

  private static void byClass(Scene scene) throws Exception {
    Session session = scene.session();
    BytesMessage bytes = session.createBytesMessage();
    bytes.writeBytes(new byte[] {1, 2, 3});
    MapMessage map = session.createMapMessage();
    map.setInt("one", 1);
    List<Message> received =
        roundTrip(
            scene,
            session,
            List.of(
                session.createTextMessage("text"),
                bytes,
                map,
                session.createObjectMessage(42),
                session.createStreamMessage()));
    Check.equal("text", received.get(0).getBody(String.class), "text");
    Check.equal(new byte[] {1, 2, 3}, received.get(1).getBody(byte[].class), "bytes");
    Check.equal(1, received.get(2).getBody(Map.class).get("one"), "the map's entry");
    Check.equal(42, received.get(3).getBody(Integer.class), "the object");
    Check.equal(false, received.get(4).isBodyAssignableTo(String.class), "a stream as text");
    Check.equal(true, received.get(0).isBodyAssignableTo(CharSequence.class), "text as characters");
    Check.fails(
        MessageFormatException.class, "text as bytes", () -> received.get(0).getBody(byte[].class));
  }

  private static void readOnly(Scene scene) throws Exception {
    Session session = scene.session();
    BytesMessage bytes = session.createBytesMessage();
    Check.fails(MessageNotReadableException.class, "a read before the send", bytes::readByte);
    bytes.writeByte((byte) 1);
    TextMessage text = session.createTextMessage("text");
    text.setIntProperty("number", 1);
    List<Message> received = roundTrip(scene, session, List.of(bytes, text));
    BytesMessage read = (BytesMessage) received.get(0);
    Check.fails(MessageNotWriteableException.class, "a write", () -> read.writeByte((byte) 2));
    TextMessage second = (TextMessage) received.get(1);
    Check.fails(MessageNotWriteableException.class, "setText", () -> second.setText("other"));
    Check.fails(
        MessageNotWriteableException.class, "a property", () -> second.setIntProperty("number", 2));
    second.clearBody();
    second.setText("other");
    second.clearProperties();
    second.setIntProperty("number", 2);
    Message again = roundTrip(scene, session, List.of(second)).get(0);
    Check.equal("other", again.getBody(String.class), "the new text");
    Check.equal(2, again.getIntProperty("number"), "the new property");
  }

  private static void forwarded(Scene scene) throws Exception {
    Session session = scene.session();
    MapMessage map = session.createMapMessage();
    map.setString("key", "value");
    TextMessage text = session.createTextMessage("\u20ac".repeat(5_000));
    text.setDoubleProperty("number", -0d);
    List<Message> first = roundTrip(scene, session, List.of(map, text));
    List<Message> second = roundTrip(scene, session, first);
    Check.equal("value", ((MapMessage) second.get(0)).getString("key"), "the map's entry");
    Check.equal(text.getText(), ((TextMessage) second.get(1)).getText(), "the text");
    Check.equal(-0d, second.get(1).getDoubleProperty("number"), "the property");
  }

  /**
   * Sends messages to a new queue and gives what came out of it, in order. Its consumer stays open, for large
   * bodies are read from it.
   */
  static List<Message> roundTrip(Scene scene, Session session, List<Message> messages)
      throws JMSException {
    Queue queue = scene.queue(session, "trip" + System.nanoTime());
    List<Message> received = new ArrayList<>();
    MessageConsumer consumer = session.createConsumer(queue);
    try (MessageProducer producer = session.createProducer(queue)) {
      for (Message message : messages) {
        producer.send(message);
        received.add(Scene.receive(consumer));
      }
    }
    return received;
  }
}
