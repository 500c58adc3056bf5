package everhold.interop;

import jakarta.jms.BytesMessage;
import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Session;
import jakarta.jms.StreamMessage;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory;

/**
 * Sends the messages that the lines of a file describe, or receives some, and writes a line about each to
 * another file. Arguments: {@code produce} or {@code consume}, URL, queue, plan, output.
 */
public final class BothAtOnce {
  /** Longer than any message takes on a busy machine. */
  private static final long WAIT_MS = 30_000;

  private BothAtOnce() {}

  public static void main(String[] args) throws Exception {
    List<BothLine> plan = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of(args[3]))) plan.add(BothLine.parse(line));
    List<BothLine> lines =
        args[0].equals("produce") ? produce(args[1], args[2], plan) : consume(args[1], args[2], plan.size());
    List<String> output = new ArrayList<>();
    for (BothLine line : lines) output.add(line.toString());
    Files.write(Path.of(args[4]), output, StandardCharsets.US_ASCII);
    System.exit(0);
  }

  private static List<BothLine> produce(String url, String queue, List<BothLine> plan) throws Exception {
    List<BothLine> sent = new ArrayList<>();
    try (var plain = new ActiveMQConnectionFactory(url);
        var compressing = new ActiveMQConnectionFactory(url + "?compressLargeMessage=true");
        Connection plainConnection = plain.createConnection();
        Connection compressingConnection = compressing.createConnection()) {
      Session plainSession = plainConnection.createSession();
      Session compressingSession = compressingConnection.createSession();
      for (BothLine line : plan) {
        boolean isCompressed = "compressed".equals(line.get("how"));
        sent.add(send(isCompressed ? compressingSession : plainSession, queue, line));
      }
    }
    return sent;
  }

  private static BothLine send(Session session, String queue, BothLine line) throws Exception {
    Message message = BothMessages.make(session, line);
    try (MessageProducer producer = session.createProducer(session.createQueue(queue))) {
      producer.setDeliveryMode(
          (Boolean) line.get("durable") ? DeliveryMode.PERSISTENT : DeliveryMode.NON_PERSISTENT);
      producer.setPriority((Integer) line.get("priority"));
      producer.setTimeToLive((Long) line.get("ttl"));
      producer.send(message);
    }
    BothLine sent = new BothLine();
    sent.put("n", line.get("n"));
    sent.put("id", message.getJMSMessageID());
    sent.put("expiration", message.getJMSExpiration());
    sent.put("timestamp", message.getJMSTimestamp());
    // The body of what was streamed or compressed is not in memory any more.
    if ("plain".equals(line.get("how"))) sent.put("body", BothMessages.body(message));
    return sent;
  }

  private static List<BothLine> consume(String url, String queue, int count) throws Exception {
    List<BothLine> received = new ArrayList<>();
    try (var factory = new ActiveMQConnectionFactory(url);
        Connection connection = factory.createConnection()) {
      Session session = connection.createSession();
      MessageConsumer consumer = session.createConsumer(session.createQueue(queue));
      connection.start();
      while (received.size() < count) {
        Message message = consumer.receive(WAIT_MS);
        if (message == null) throw new IllegalStateException("only " + received.size() + " messages came");
        BothLine line = BothMessages.describe(message);
        if (message instanceof BytesMessage bytes) bytes.reset();
        if (message instanceof StreamMessage stream) stream.reset();
        received.add(line.put("body", BothMessages.body(message)));
      }
      Check.that(consumer.receiveNoWait() == null, "one message too many came");
    }
    return received;
  }
}
