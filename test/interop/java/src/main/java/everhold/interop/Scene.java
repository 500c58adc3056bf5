package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory;

/** What one case works with: names that nobody else uses, and connections that are closed after it. */
final class Scene implements AutoCloseable {
  /** Longer than any message takes on a busy machine; who waits this long has lost something. */
  static final long WAIT_MS = 60_000;

  /** Long enough that a message which must not come would have come. */
  static final long QUIET_MS = 200;

  private final String url;
  private final Map<String, String> options;
  private final String id = UUID.randomUUID().toString().substring(0, 8);
  private final List<Connection> connections = new ArrayList<>();
  private final List<ActiveMQConnectionFactory> factories = new ArrayList<>();

  Scene(String url, Map<String, String> options) {
    this.url = url;
    this.options = options;
  }

  String url() {
    return url;
  }

  /** An option of the program's command line; null when it was not given. */
  String option(String name) {
    return options.get(name);
  }

  /** A name of this case's own. */
  String name(String suffix) {
    return "case-" + id + "-" + suffix;
  }

  /** A factory for the broker, with parameters of the URL such as {@code consumerWindowSize=0}. */
  ActiveMQConnectionFactory factory(String... parameters) throws JMSException {
    String query = String.join("&", parameters);
    ActiveMQConnectionFactory factory =
        new ActiveMQConnectionFactory(query.isEmpty() ? url : url + "?" + query);
    factories.add(factory);
    return factory;
  }

  /** A new connection, not started. */
  Connection connectStopped(String... parameters) throws JMSException {
    return keep(factory(parameters).createConnection());
  }

  /** A new connection, started. */
  Connection connect(String... parameters) throws JMSException {
    Connection connection = connectStopped(parameters);
    connection.start();
    return connection;
  }

  /** Makes sure that a connection is closed after the case. */
  Connection keep(Connection connection) {
    connections.add(connection);
    return connection;
  }

  /** A session in this mode on a started connection of its own. */
  Session session(int mode, String... parameters) throws JMSException {
    return connect(parameters).createSession(mode);
  }

  /** A session that acknowledges by itself, on a started connection of its own. */
  Session session(String... parameters) throws JMSException {
    return session(Session.AUTO_ACKNOWLEDGE, parameters);
  }

  Queue queue(Session session, String suffix) throws JMSException {
    return session.createQueue(name(suffix));
  }

  Topic topic(Session session, String suffix) throws JMSException {
    return session.createTopic(name(suffix));
  }

  /** Sends text messages, each with its number from {@code first} on. */
  static void sendNumbers(Session session, jakarta.jms.Destination to, int first, int count)
      throws JMSException {
    try (var producer = session.createProducer(to)) {
      for (int number = first; number < first + count; number += 1) {
        producer.send(session.createTextMessage(String.valueOf(number)));
      }
    }
  }

  /** Receives numbers from {@code first} on and fails when one is missing or out of order. */
  static void receiveNumbers(MessageConsumer consumer, int first, int count) throws JMSException {
    for (int number = first; number < first + count; number += 1) {
      Check.equal(String.valueOf(number), receiveText(consumer), "the next message");
    }
  }

  /** The text of the next message, which has to come. */
  static String receiveText(MessageConsumer consumer) throws JMSException {
    return ((TextMessage) receive(consumer)).getText();
  }

  /** The next message, which has to come. */
  static Message receive(MessageConsumer consumer) throws JMSException {
    Message message = consumer.receive(WAIT_MS);
    Check.that(message != null, "no message came within " + WAIT_MS + " ms");
    return message;
  }

  /** Fails when there is a message. */
  static void receiveNothing(MessageConsumer consumer) throws JMSException {
    Message message = consumer.receive(QUIET_MS);
    Check.that(message == null, "a message came that should not: " + message);
  }

  @Override
  public void close() throws JMSException {
    for (Connection connection : connections) connection.close();
    for (ActiveMQConnectionFactory factory : factories) factory.close();
  }
}
