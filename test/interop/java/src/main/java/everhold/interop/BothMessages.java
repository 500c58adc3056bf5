package everhold.interop;

import jakarta.jms.BytesMessage;
import jakarta.jms.JMSException;
import jakarta.jms.MapMessage;
import jakarta.jms.Message;
import jakarta.jms.MessageEOFException;
import jakarta.jms.ObjectMessage;
import jakarta.jms.Session;
import jakarta.jms.StreamMessage;
import jakarta.jms.TextMessage;
import java.io.ByteArrayInputStream;
import java.util.ArrayList;
import java.util.Enumeration;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.activemq.artemis.api.core.ActiveMQBuffer;
import org.apache.activemq.artemis.api.core.ICoreMessage;
import org.apache.activemq.artemis.api.core.SimpleString;
import org.apache.activemq.artemis.jms.client.ActiveMQMessage;

/** JMS messages from lines, and lines from JMS messages. */
final class BothMessages {
  /** What clients and brokers add to say how a message travels. */
  private static final Set<String> TRAVEL =
      Set.of("_AMQ_ROUTING_TYPE", "__AMQ_CID", "_AMQ_LARGE_SIZE", "_AMQ_LARGE_COMPRESSED", "_EVH_SEQ");

  private static final Pattern IDENTIFIER = Pattern.compile("[A-Za-z_$][A-Za-z0-9_$]*");

  private BothMessages() {}

  /** The message that a line describes: body, properties, and those headers that the sender sets. */
  static Message make(Session session, BothLine line) throws JMSException {
    Message message = makeBody(session, line);
    for (var entry : line.under("property.").entrySet()) {
      setProperty(message, entry.getKey(), entry.getValue());
    }
    Object correlation = line.get("correlation");
    if (correlation instanceof byte[] bytes) message.setJMSCorrelationIDAsBytes(bytes);
    else message.setJMSCorrelationID((String) correlation);
    message.setJMSType((String) line.get("type"));
    if (line.get("replyTo") != null) {
      message.setJMSReplyTo(session.createQueue((String) line.get("replyTo")));
    }
    if (line.get("group") != null) message.setStringProperty("JMSXGroupID", (String) line.get("group"));
    Object duplicate = line.get("duplicate");
    if (duplicate != null) setProperty(message, "_AMQ_DUPL_ID", duplicate);
    return message;
  }

  private static Message makeBody(Session session, BothLine line) throws JMSException {
    switch ((String) line.get("kind")) {
      case "none":
        return session.createMessage();
      case "text":
        return session.createTextMessage((String) line.get("value"));
      case "object":
        byte[] object = (byte[]) line.get("value");
        return session.createObjectMessage(object);
      case "bytes":
        BytesMessage bytes = session.createBytesMessage();
        byte[] value = (byte[]) line.get("value");
        if ("streamed".equals(line.get("how"))) {
          bytes.setObjectProperty("JMS_AMQ_InputStream", new ByteArrayInputStream(value));
        } else bytes.writeBytes(value);
        return bytes;
      case "map":
        MapMessage map = session.createMapMessage();
        for (var entry : line.under("map.").entrySet()) {
          if (entry.getValue() instanceof Character unit) map.setChar(entry.getKey(), unit);
          else map.setObject(entry.getKey(), entry.getValue());
        }
        return map;
      case "stream":
        StreamMessage stream = session.createStreamMessage();
        for (Object each : line.under("stream.").values()) {
          if (each == null) stream.writeString(null);
          else stream.writeObject(each);
        }
        return stream;
      default:
        throw new IllegalArgumentException("unknown kind " + line.get("kind"));
    }
  }

  /** Through JMS where it has the type and allows the name, else through the core API. */
  private static void setProperty(Message message, String name, Object value) throws JMSException {
    boolean isJms = value != null && !(value instanceof Character) && !(value instanceof byte[]);
    if (isJms && IDENTIFIER.matcher(name).matches()) message.setObjectProperty(name, value);
    else core(message).putObjectProperty(name, value);
  }

  /** What a message says, whoever made it. */
  static BothLine describe(Message message) throws JMSException {
    BothLine line = new BothLine();
    ICoreMessage core = core(message);
    for (SimpleString key : core.getPropertyNames()) {
      String name = key.toString();
      Object value = core.getObjectProperty(key);
      switch (name) {
        case "JMSCorrelationID" -> line.put("correlation", value);
        case "JMSType" -> line.put("type", value);
        case "JMSReplyTo" -> line.put("replyTo", value.toString().replaceFirst("^queue://", ""));
        case "_AMQ_GROUP_ID" -> line.put("group", value);
        case "_AMQ_DUPL_ID" -> putDuplicateId(line, value);
        default -> {
          if (!TRAVEL.contains(name)) line.put("property." + name, value);
        }
      }
    }
    line.put("id", message.getJMSMessageID());
    line.put("address", core.getAddress());
    line.put("durable", core.isDurable());
    line.put("priority", (int) core.getPriority());
    line.put("expiration", core.getExpiration());
    line.put("timestamp", core.getTimestamp());
    describeBody(message, line);
    return line;
  }

  /** Everhold's client gives every durable message an id of its own, 32 bytes that begin with {@code EVH1}. */
  private static void putDuplicateId(BothLine line, Object value) {
    if (value instanceof byte[] bytes && bytes.length == 32 && bytes[0] == 'E' && bytes[1] == 'V') return;
    line.put("duplicate", value);
  }

  private static void describeBody(Message message, BothLine line) throws JMSException {
    if (message instanceof TextMessage text) {
      line.put("kind", "text").put("value", text.getText());
    } else if (message instanceof BytesMessage bytes) {
      byte[] value = new byte[(int) bytes.getBodyLength()];
      bytes.readBytes(value);
      line.put("kind", "bytes").put("value", value);
    } else if (message instanceof MapMessage map) {
      line.put("kind", "map");
      for (Enumeration<?> names = map.getMapNames(); names.hasMoreElements(); ) {
        String name = (String) names.nextElement();
        line.put("map." + name, map.getObject(name));
      }
    } else if (message instanceof StreamMessage stream) {
      line.put("kind", "stream");
      List<Object> values = values(stream);
      for (int index = 0; index < values.size(); index += 1) {
        line.put(String.format("stream.%04d", index), values.get(index));
      }
    } else if (message instanceof ObjectMessage object) {
      line.put("kind", "object").put("value", object.getObject());
    } else line.put("kind", "none");
  }

  private static List<Object> values(StreamMessage stream) throws JMSException {
    List<Object> values = new ArrayList<>();
    for (;;) {
      try {
        values.add(stream.readObject());
      } catch (MessageEOFException end) {
        return values;
      }
    }
  }

  /** The body as it is on the wire. */
  static byte[] body(Message message) {
    ActiveMQBuffer buffer = core(message).getReadOnlyBodyBuffer();
    byte[] bytes = new byte[buffer.readableBytes()];
    buffer.readBytes(bytes);
    return bytes;
  }

  private static ICoreMessage core(Message message) {
    return ((ActiveMQMessage) message).getCoreMessage();
  }

}
