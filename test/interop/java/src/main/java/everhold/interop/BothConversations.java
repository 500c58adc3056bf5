package everhold.interop;

import static java.util.Map.entry;

import jakarta.jms.BytesMessage;
import jakarta.jms.CompletionListener;
import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TemporaryQueue;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import java.util.Enumeration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory;

/**
 * Short conversations with a broker, to be recorded. One thread does one thing after the other, so that the
 * packets come in the same order each time. Arguments: what names begin with, then {@code scenario=url}.
 */
public final class BothConversations {
  private interface Scenario {
    void run(String url, String name) throws Exception;
  }

  /** Longer than any message takes on a busy machine. */
  private static final long WAIT_MS = 20_000;

  private static final int LARGE_BYTES = 120_000;

  private static final Map<String, Scenario> SCENARIOS =
      Map.ofEntries(
          entry("send-receive", BothConversations::sendReceive),
          entry("transaction", BothConversations::transaction),
          entry("topic", BothConversations::topic),
          entry("browser", BothConversations::browser),
          entry("request-reply", BothConversations::requestReply),
          entry("large-message", BothConversations::largeMessage),
          entry("completion", BothConversations::completion),
          entry("zero-window", BothConversations::zeroWindow),
          entry("close-in-the-middle", BothConversations::closeInTheMiddle),
          entry("management", BothConversations::management));

  private BothConversations() {}

  public static void main(String[] args) throws Exception {
    for (int index = 1; index < args.length; index += 1) {
      String[] pair = args[index].split("=", 2);
      SCENARIOS.get(pair[0]).run(pair[1], args[0] + "." + pair[0]);
    }
    System.exit(0);
  }

  private static void sendReceive(String url, String name) throws Exception {
    try (var factory = new ActiveMQConnectionFactory(url);
        Connection connection = factory.createConnection()) {
      Session session = connection.createSession();
      Queue queue = session.createQueue(name);
      try (MessageProducer producer = session.createProducer(queue)) {
        TextMessage text = session.createTextMessage("text \u00e9 \ud83d\ude00");
        text.setIntProperty("number", 7);
        text.setStringProperty("name", "value");
        text.setJMSCorrelationID("correlation");
        producer.send(text);
        BytesMessage bytes = session.createBytesMessage();
        bytes.writeBytes(new byte[] {0, 1, 2, (byte) 255});
        producer.send(bytes, DeliveryMode.NON_PERSISTENT, 9, 0);
        producer.send(session.createMessage(), DeliveryMode.PERSISTENT, 4, 3_600_000);
      }
      connection.start();
      try (MessageConsumer consumer = session.createConsumer(queue)) {
        for (int count = 0; count < 3; count += 1) receive(consumer);
        Check.that(consumer.receiveNoWait() == null, "the queue is empty");
      }
    }
  }

  private static void transaction(String url, String name) throws Exception {
    try (var factory = new ActiveMQConnectionFactory(url);
        Connection connection = factory.createConnection()) {
      connection.start();
      Session session = connection.createSession(Session.SESSION_TRANSACTED);
      Queue queue = session.createQueue(name);
      MessageProducer producer = session.createProducer(queue);
      producer.send(session.createTextMessage("committed"));
      session.commit();
      producer.send(session.createTextMessage("rolled back"));
      session.rollback();
      MessageConsumer consumer = session.createConsumer(queue);
      receive(consumer);
      session.rollback();
      Check.that(receive(consumer).getJMSRedelivered(), "it comes again");
      session.commit();
    }
  }

  private static void topic(String url, String name) throws Exception {
    try (var factory = new ActiveMQConnectionFactory(url);
        Connection connection = factory.createConnection()) {
      connection.setClientID(name + ".client");
      connection.start();
      Session session = connection.createSession();
      Topic topic = session.createTopic(name);
      MessageConsumer plain = session.createConsumer(topic, "number > 0");
      MessageConsumer durable = session.createDurableSubscriber(topic, "durable");
      MessageConsumer shared = session.createSharedConsumer(topic, "shared");
      MessageConsumer both = session.createSharedDurableConsumer(topic, "both");
      MessageProducer producer = session.createProducer(topic);
      Message message = session.createTextMessage("news");
      message.setIntProperty("number", 1);
      producer.send(message);
      for (MessageConsumer each : List.of(plain, durable, shared, both)) {
        receive(each);
        each.close();
      }
      session.unsubscribe("durable");
      session.unsubscribe("both");
    }
  }

  private static void browser(String url, String name) throws Exception {
    try (var factory = new ActiveMQConnectionFactory(url);
        Connection connection = factory.createConnection()) {
      Session session = connection.createSession();
      Queue queue = session.createQueue(name);
      try (MessageProducer producer = session.createProducer(queue)) {
        for (int count = 0; count < 3; count += 1) producer.send(session.createTextMessage("m" + count));
      }
      connection.start();
      try (var browser = session.createBrowser(queue)) {
        int seenCount = 0;
        for (Enumeration<?> seen = browser.getEnumeration(); seen.hasMoreElements(); seen.nextElement()) {
          seenCount += 1;
        }
        Check.equal(3, seenCount, "the number of messages seen");
      }
    }
  }

  private static void requestReply(String url, String name) throws Exception {
    try (var factory = new ActiveMQConnectionFactory(url);
        Connection connection = factory.createConnection()) {
      Session session = connection.createSession();
      Queue queue = session.createQueue(name);
      TemporaryQueue answers = session.createTemporaryQueue();
      MessageProducer producer = session.createProducer(null);
      producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
      TextMessage request = session.createTextMessage("question");
      request.setJMSReplyTo(answers);
      producer.send(queue, request);
      connection.start();
      Message found;
      try (MessageConsumer consumer = session.createConsumer(queue)) {
        found = receive(consumer);
      }
      TextMessage reply = session.createTextMessage("answer");
      reply.setJMSCorrelationID(found.getJMSMessageID());
      producer.send(found.getJMSReplyTo(), reply);
      try (MessageConsumer consumer = session.createConsumer(answers)) {
        receive(consumer);
      }
      answers.delete();
    }
  }

  private static void largeMessage(String url, String name) throws Exception {
    try (var factory = new ActiveMQConnectionFactory(url);
        Connection connection = factory.createConnection()) {
      Session session = connection.createSession();
      Queue queue = session.createQueue(name);
      try (MessageProducer producer = session.createProducer(queue)) {
        BytesMessage message = session.createBytesMessage();
        message.writeBytes(new byte[LARGE_BYTES]);
        producer.send(message);
      }
      connection.start();
      try (MessageConsumer consumer = session.createConsumer(queue)) {
        BytesMessage message = (BytesMessage) receive(consumer);
        Check.equal((long) LARGE_BYTES, message.getBodyLength(), "the size of the body");
        message.readBytes(new byte[LARGE_BYTES]);
      }
    }
  }

  private static void completion(String url, String name) throws Exception {
    int messageCount = 5;
    try (var factory = new ActiveMQConnectionFactory(url + "?confirmationWindowSize=1048576");
        Connection connection = factory.createConnection()) {
      Session session = connection.createSession();
      CountDownLatch completed = new CountDownLatch(messageCount);
      CompletionListener listener =
          new CompletionListener() {
            @Override
            public void onCompletion(Message message) {
              completed.countDown();
            }

            @Override
            public void onException(Message message, Exception error) {
              error.printStackTrace();
            }
          };
      MessageProducer producer = session.createProducer(session.createQueue(name));
      for (int count = 0; count < messageCount; count += 1) {
        producer.send(session.createTextMessage("m" + count), listener);
      }
      Check.that(completed.await(WAIT_MS, TimeUnit.MILLISECONDS), "every send completes");
    }
  }

  private static void zeroWindow(String url, String name) throws Exception {
    try (var factory = new ActiveMQConnectionFactory(url + "?consumerWindowSize=0");
        Connection connection = factory.createConnection()) {
      Session session = connection.createSession();
      Queue queue = session.createQueue(name);
      try (MessageProducer producer = session.createProducer(queue)) {
        for (int count = 0; count < 2; count += 1) producer.send(session.createTextMessage("m" + count));
      }
      connection.start();
      try (MessageConsumer consumer = session.createConsumer(queue)) {
        for (int count = 0; count < 2; count += 1) receive(consumer);
        Check.that(consumer.receive(50) == null, "the queue is empty");
      }
    }
  }

  private static void closeInTheMiddle(String url, String name) throws Exception {
    try (var factory = new ActiveMQConnectionFactory(url)) {
      try (Connection connection = factory.createConnection()) {
        Session session = connection.createSession(Session.CLIENT_ACKNOWLEDGE);
        Queue queue = session.createQueue(name);
        MessageProducer producer = session.createProducer(queue);
        for (int count = 0; count < 4; count += 1) producer.send(session.createTextMessage("m" + count));
        connection.start();
        MessageConsumer consumer = session.createConsumer(queue);
        // Three are taken and not acknowledged, one waits in the client.
        for (int count = 0; count < 3; count += 1) receive(consumer);
      }
      try (Connection connection = factory.createConnection()) {
        Session session = connection.createSession(Session.CLIENT_ACKNOWLEDGE);
        connection.start();
        MessageConsumer consumer = session.createConsumer(session.createQueue(name));
        for (int count = 0; count < 4; count += 1) {
          Message message = receive(consumer);
          Check.equal("m" + count, message.getBody(String.class), "the next message");
          if (count == 3) message.acknowledge();
        }
      }
    }
  }

  private static void management(String url, String name) throws Exception {
    try (var factory = new ActiveMQConnectionFactory(url);
        Connection connection = factory.createConnection()) {
      Session session = connection.createSession();
      Queue queue = session.createQueue(name);
      try (MessageProducer producer = session.createProducer(queue)) {
        producer.send(session.createTextMessage("counted"));
      }
      TemporaryQueue answers = session.createTemporaryQueue();
      connection.start();
      try (MessageProducer producer = session.createProducer(session.createQueue("activemq.management"));
          MessageConsumer consumer = session.createConsumer(answers)) {
        Message question = session.createTextMessage();
        question.setStringProperty("_AMQ_ResourceName", "queue." + name);
        question.setStringProperty("_AMQ_Attribute", "messageCount");
        question.setJMSReplyTo(answers);
        producer.send(question);
        Check.that(receive(consumer).getBooleanProperty("_AMQ_OperationSucceeded"), "it is answered");
        Message call = session.createTextMessage("[null]");
        call.setStringProperty("_AMQ_ResourceName", "queue." + name);
        call.setStringProperty("_AMQ_OperationName", "countMessages");
        call.setJMSReplyTo(answers);
        producer.send(call);
        Check.that(receive(consumer).getBooleanProperty("_AMQ_OperationSucceeded"), "it is answered");
      }
    }
  }

  private static Message receive(MessageConsumer consumer) throws Exception {
    Message message = consumer.receive(WAIT_MS);
    Check.that(message != null, "no message came");
    return message;
  }
}
