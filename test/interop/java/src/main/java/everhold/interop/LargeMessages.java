package everhold.interop;

import jakarta.jms.BytesMessage;
import jakarta.jms.DeliveryMode;
import jakarta.jms.JMSException;
import jakarta.jms.MapMessage;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.QueueBrowser;
import jakarta.jms.Session;
import jakarta.jms.StreamMessage;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Messages that travel in parts, compressed ones, and the largest that the broker takes. */
final class LargeMessages {
  private static final String COMPRESSED = "compressLargeMessage=true";

  private LargeMessages() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("sizes around that at which messages travel in parts", LargeMessages::sizes)
        .add("text, maps and streams travel in parts", scene -> bodies(scene, ""))
        .add("compressed text, maps and streams", scene -> bodies(scene, COMPRESSED))
        .add("compressed messages that are small, or become so", LargeMessages::compressedSizes)
        .add("compressed messages for a client that does not compress", LargeMessages::compressedMixed)
        .add("a body is written from a stream and read into one", LargeMessages::streamed)
        .add("properties of large messages, and selectors on them", LargeMessages::properties)
        .add("large messages in transactions", LargeMessages::transacted)
        .add("a topic gives every subscriber its own copy", LargeMessages::topic)
        .add("large and small messages stay in order", LargeMessages::order)
        .add("a large message waits for its reader", LargeMessages::unread)
        .add("large messages without window and beyond the window", LargeMessages::windows)
        .add("a large message is browsed", LargeMessages::browsed)
        .add("a large message that is not durable", LargeMessages::notDurable)
        .addWith("bodyBytes", "the largest message that the broker takes", LargeMessages::largest)
        .addWith("refusedBytes", "a message above the limit is refused, and nothing else", LargeMessages::refused)
        .run();
  }

  private static byte[] bytes(int length) {
    byte[] bytes = new byte[length];
    new Random(length).nextBytes(bytes);
    return bytes;
  }

  private static BytesMessage message(Session session, byte[] body) throws JMSException {
    BytesMessage message = session.createBytesMessage();
    message.writeBytes(body);
    return message;
  }

  private static void checkBody(byte[] expected, Message message) throws JMSException {
    BytesMessage found = (BytesMessage) message;
    Check.equal((long) expected.length, found.getBodyLength(), "the length of the body");
    byte[] body = new byte[expected.length];
    int count = 0;
    while (count < body.length) {
      byte[] piece = new byte[Math.min(body.length - count, 1 << 20)];
      int read = found.readBytes(piece);
      Check.that(read > 0, "the body ends after " + count + " of " + body.length);
      System.arraycopy(piece, 0, body, count, read);
      count += read;
    }
    Check.equal(expected, body, "the body");
    Check.equal(-1, found.readBytes(new byte[1]), "what is read at the end");
  }

  private static void sizes(Scene scene) throws Exception {
    int edge = 100 * 1024;
    List<Integer> lengths =
        new ArrayList<>(List.of(edge - 300, edge - 1, edge, edge + 1, 2 * edge, 2 * edge + 1));
    lengths.addAll(List.of(1 << 20, 5_000_001));
    roundTrips(scene, scene.session(), lengths);
    // The edge can be moved.
    roundTrips(scene, scene.session("minLargeMessageSize=1000"), List.of(0, 1, 600, 999, 1_000, 5_000));
  }

  private static void roundTrips(Scene scene, Session session, List<Integer> lengths)
      throws Exception {
    List<Message> messages = new ArrayList<>();
    for (int length : lengths) messages.add(message(session, bytes(length)));
    Queue queue = scene.queue(session, "trips");
    try (MessageProducer producer = session.createProducer(queue);
        MessageConsumer consumer = session.createConsumer(queue)) {
      for (int index = 0; index < messages.size(); index += 1) {
        producer.send(messages.get(index));
        Message found = Scene.receive(consumer);
        Check.equal(false, found.getJMSRedelivered(), "redelivered");
        checkBody(bytes(lengths.get(index)), found);
      }
    }
  }

  private static void bodies(Scene scene, String parameter) throws Exception {
    Session session = scene.session(parameter);
    String text = "\u20ac\ud83d\ude00x".repeat(100_000);
    TextMessage asText = session.createTextMessage(text);
    MapMessage asMap = session.createMapMessage();
    StreamMessage asStream = session.createStreamMessage();
    byte[] random = bytes(300_000);
    asMap.setString("text", text);
    asMap.setBytes("bytes", random);
    asStream.writeString(text);
    asStream.writeBytes(random);
    List<Message> found = Bodies.roundTrip(scene, session, List.of(asText, asMap, asStream));
    Check.equal(text, ((TextMessage) found.get(0)).getText(), "the text");
    Check.equal(text, ((MapMessage) found.get(1)).getString("text"), "the map's text");
    Check.equal(random, ((MapMessage) found.get(1)).getBytes("bytes"), "the map's bytes");
    Check.equal(text, ((StreamMessage) found.get(2)).readString(), "the stream's text");
    byte[] bytes = new byte[random.length];
    Check.equal(random.length, ((StreamMessage) found.get(2)).readBytes(bytes), "their count");
    Check.equal(random, bytes, "the stream's bytes");
  }

  private static void compressedSizes(Scene scene) throws Exception {
    Session session = scene.session(COMPRESSED);
    // Random bytes stay large when compressed, zeros become small.
    List<Integer> lengths = List.of(0, 10, 100 * 1024 - 300, 100 * 1024, 1 << 20);
    roundTrips(scene, session, lengths);
    roundTrips(scene, scene.session(COMPRESSED, "minLargeMessageSize=1000"), lengths);
    List<Message> zeros = new ArrayList<>();
    for (int length : lengths) zeros.add(message(session, new byte[length]));
    List<Message> found = Bodies.roundTrip(scene, session, zeros);
    for (int index = 0; index < lengths.size(); index += 1) {
      checkBody(new byte[lengths.get(index)], found.get(index));
    }
  }

  private static void compressedMixed(Scene scene) throws Exception {
    Session compressing = scene.session(COMPRESSED);
    Session plain = scene.session();
    Queue queue = scene.queue(plain, "mixed");
    try (MessageProducer producer = compressing.createProducer(queue)) {
      producer.send(compressing.createTextMessage("zeros ".repeat(100_000)));
      producer.send(message(compressing, bytes(400_000)));
    }
    MessageConsumer consumer = plain.createConsumer(queue);
    Check.equal("zeros ".repeat(100_000), Scene.receiveText(consumer), "the text");
    checkBody(bytes(400_000), Scene.receive(consumer));
  }

  private static void streamed(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "streamed");
    byte[] body = bytes(3_000_000);
    BytesMessage sent = session.createBytesMessage();
    sent.setObjectProperty("JMS_AMQ_InputStream", new ByteArrayInputStream(body));
    session.createProducer(queue).send(sent);
    MessageConsumer consumer = session.createConsumer(queue);
    Message found = Scene.receive(consumer);
    Check.equal((long) body.length, found.getLongProperty("_AMQ_LARGE_SIZE"), "its size");
    ByteArrayOutputStream output = new ByteArrayOutputStream();
    found.setObjectProperty("JMS_AMQ_SaveStream", output);
    Check.equal(body, output.toByteArray(), "the body");
    Scene.receiveNothing(consumer);
  }

  private static void properties(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "properties");
    TextMessage sent = session.createTextMessage("x".repeat(300_000));
    sent.setStringProperty("color", "red");
    sent.setLongProperty("number", Long.MAX_VALUE);
    sent.setJMSCorrelationID("correlated");
    MessageConsumer blue = session.createConsumer(queue, "color = 'blue'");
    MessageConsumer red = session.createConsumer(queue, "color = 'red' AND number > 5");
    session.createProducer(queue).send(sent, DeliveryMode.PERSISTENT, 6, 600_000);
    TextMessage found = (TextMessage) Scene.receive(red);
    Scene.receiveNothing(blue);
    Check.equal("red", found.getStringProperty("color"), "the color");
    Check.equal(Long.MAX_VALUE, found.getLongProperty("number"), "the number");
    Check.equal("correlated", found.getJMSCorrelationID(), "the correlation id");
    Check.equal(6, found.getJMSPriority(), "the priority");
    Check.equal(sent.getJMSExpiration(), found.getJMSExpiration(), "the expiration");
    Check.equal(sent.getJMSMessageID(), found.getJMSMessageID(), "the message id");
    Check.equal(300_000, found.getText().length(), "the length of the text");
  }

  private static void transacted(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "transacted");
    MessageProducer producer = session.createProducer(queue);
    MessageConsumer other = scene.session().createConsumer(queue);
    producer.send(message(session, bytes(200_000)));
    session.rollback();
    producer.send(message(session, bytes(300_000)));
    Scene.receiveNothing(other);
    session.commit();
    checkBody(bytes(300_000), Scene.receive(other));
    Scene.receiveNothing(other);
    other.close();

    producer.send(message(session, bytes(400_000)));
    session.commit();
    MessageConsumer consumer = session.createConsumer(queue);
    for (int attempt = 1; attempt <= 3; attempt += 1) {
      Message found = Scene.receive(consumer);
      Check.equal(attempt, found.getIntProperty("JMSXDeliveryCount"), "the delivery count");
      Check.equal(attempt > 1, found.getJMSRedelivered(), "redelivered");
      checkBody(bytes(400_000), found);
      if (attempt < 3) session.rollback();
    }
    session.commit();
    Scene.receiveNothing(consumer);
  }

  private static void topic(Scene scene) throws Exception {
    Session session = scene.session();
    Topic topic = scene.topic(session, "topic");
    List<MessageConsumer> consumers = new ArrayList<>();
    for (int index = 0; index < 3; index += 1) {
      consumers.add(scene.session().createConsumer(topic));
    }
    session.createProducer(topic).send(message(session, bytes(500_000)));
    for (MessageConsumer consumer : consumers) {
      checkBody(bytes(500_000), Scene.receive(consumer));
      Scene.receiveNothing(consumer);
    }
  }

  private static void order(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "order");
    MessageProducer producer = session.createProducer(queue);
    int[] lengths = {10, 200_000, 20, 300_000, 400_000, 30};
    for (int length : lengths) producer.send(message(session, bytes(length)));
    MessageConsumer consumer = session.createConsumer(queue);
    for (int length : lengths) checkBody(bytes(length), Scene.receive(consumer));
  }

  private static void unread(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "unread");
    MessageProducer producer = session.createProducer(queue);
    producer.send(message(session, bytes(2_000_000)));
    producer.send(message(session, bytes(10)));
    MessageConsumer consumer = session.createConsumer(queue);
    Message first = Scene.receive(consumer);
    Thread.sleep(Scene.QUIET_MS);
    checkBody(bytes(2_000_000), first);
    checkBody(bytes(10), Scene.receive(consumer));
    // One that nobody reads holds nobody up.
    producer.send(message(session, bytes(2_000_000)));
    producer.send(message(session, bytes(20)));
    Scene.receive(consumer);
    checkBody(bytes(20), Scene.receive(consumer));
  }

  private static void windows(Scene scene) throws Exception {
    for (String window : List.of("0", "1", "10000", "-1")) {
      Session session = scene.session("consumerWindowSize=" + window);
      Queue queue = scene.queue(session, "window" + window);
      MessageProducer producer = session.createProducer(queue);
      for (int number = 0; number < 4; number += 1) {
        producer.send(message(session, bytes(200_000 + number)));
      }
      MessageConsumer consumer = session.createConsumer(queue);
      for (int number = 0; number < 4; number += 1) {
        checkBody(bytes(200_000 + number), Scene.receive(consumer));
      }
      Scene.receiveNothing(consumer);
    }
  }

  private static void browsed(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "browsed");
    session.createProducer(queue).send(message(session, bytes(250_000)));
    QueueBrowser browser = session.createBrowser(queue);
    var seen = browser.getEnumeration();
    checkBody(bytes(250_000), (Message) seen.nextElement());
    Check.equal(false, seen.hasMoreElements(), "whether there are more");
    browser.close();
    checkBody(bytes(250_000), Scene.receive(session.createConsumer(queue)));
  }

  private static void notDurable(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "notDurable");
    MessageProducer producer = session.createProducer(queue);
    producer.send(message(session, bytes(700_000)), DeliveryMode.NON_PERSISTENT, 4, 0);
    Message found = Scene.receive(session.createConsumer(queue));
    Check.equal(DeliveryMode.NON_PERSISTENT, found.getJMSDeliveryMode(), "the delivery mode");
    checkBody(bytes(700_000), found);
  }

  private static void largest(Scene scene) throws Exception {
    int largest = Integer.parseInt(scene.option("bodyBytes"));
    Session session = scene.session();
    roundTrips(scene, session, List.of(largest, largest - 1));
    Session transacted = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "largest");
    transacted.createProducer(queue).send(message(transacted, bytes(largest)));
    transacted.commit();
    checkBody(bytes(largest), Scene.receive(session.createConsumer(queue)));
  }

  private static void refused(Scene scene) throws Exception {
    byte[] tooLarge = bytes(Integer.parseInt(scene.option("refusedBytes")));
    Session session = scene.session();
    Queue queue = scene.queue(session, "refused");
    MessageProducer producer = session.createProducer(queue);
    BytesMessage message = message(session, tooLarge);
    Check.fails(JMSException.class, "a message above the limit", () -> producer.send(message));
    producer.send(message(session, bytes(10)));
    MessageConsumer consumer = session.createConsumer(queue);
    checkBody(bytes(10), Scene.receive(consumer));
    Scene.receiveNothing(consumer);
  }
}
