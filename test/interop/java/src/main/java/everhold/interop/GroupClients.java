package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import jakarta.jms.TransactionRolledBackException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.activemq.artemis.api.core.client.ClientSessionFactory;
import org.apache.activemq.artemis.api.core.client.FailoverEventType;
import org.apache.activemq.artemis.api.jms.ActiveMQJMSConstants;
import org.apache.activemq.artemis.jms.client.ActiveMQConnection;

/**
 * Clients of a group. The caller does to the group what a case prints: {@code {"group":"kill"}} or {@code "stop"} ends
 * the live, and brings it back when another one serves.
 */
final class GroupClients {
  /**
   * A client that reconnects so fast that it reaches the backlog of the process that dies waits for an answer as long as
   * for any; so that time is short here.
   */
  private static final String PATIENCE =
      "&retryInterval=50&callTimeout=3000&blockOnAcknowledge=true";

  /** At the two addresses that a client knows: the live's, and its first backup's. In a group of three neither may lead. */
  private static final String OF_TWO = "ha=true&reconnectAttempts=-1" + PATIENCE;

  /** Who does not answer at these two is looked for at all that the URL names. */
  private static final String EVERYWHERE =
      "ha=true&reconnectAttempts=10&failoverAttempts=-1&useTopologyForLoadBalancing=false"
          + PATIENCE;

  private static final String WINDOW = "confirmationWindowSize=1048576";

  /** Milliseconds from the broken connection to the one that stands, of every kill. */
  private static final List<Long> OUTAGES_MS = Collections.synchronizedList(new ArrayList<>());

  private GroupClients() {}

  public static void main(String[] args) {
    Cases cases = new Cases(args);
    for (String how : new String[] {"kill", "stop"}) {
      cases.add("three times a client goes on after a " + how, scene -> goesOn(scene, how));
    }
    for (String window : new String[] {"", WINDOW}) {
      String with = window.isEmpty() ? "" : ", with a confirmation window";
      cases
          .add(
              "a transaction that was open is told that it was rolled back" + with,
              scene -> transaction(scene, window))
          .add(
              "what was acknowledged does not come again, what was not does" + with,
              scene -> acknowledged(scene, window))
          .add(
              "sends go on through three kills, each message there once and in order" + with,
              scene -> sends(scene, window));
    }
    cases.add("a client goes on when the two that it knows die at once", GroupClients::everywhere);
    cases.add("outages are told", scene -> tellOutages()).run();
  }

  /** Follows a connection through failures. */
  private static final class Watched {
    private final BlockingQueue<FailoverEventType> events = new LinkedBlockingQueue<>();
    private final AtomicInteger completedCount = new AtomicInteger();
    private final ActiveMQConnection connection;
    private volatile long brokenNs;

    Watched(Connection watched) throws JMSException {
      connection = (ActiveMQConnection) watched;
      connection.setFailoverListener(
          type -> {
            if (type == FailoverEventType.FAILURE_DETECTED) brokenNs = System.nanoTime();
            if (type == FailoverEventType.FAILOVER_COMPLETED) {
              OUTAGES_MS.add((System.nanoTime() - brokenNs) / 1_000_000);
              completedCount.incrementAndGet();
            }
            events.add(type);
          });
    }

    /** Ends the live when the client knows where else to go, and returns when the connection has found the next one. */
    void moveWhenTold(String how) throws Exception {
      long deadlineNs = System.nanoTime() + Scene.WAIT_MS * 1_000_000;
      while (!knowsBackup()) {
        Check.that(System.nanoTime() < deadlineNs, "the client is not told of a backup");
        Thread.sleep(20);
      }
      move(how);
    }

    /** Whether the topology names a backup other than who serves now: right after a failover it is an old one. */
    private boolean knowsBackup() {
      ClientSessionFactory factory = connection.getSessionFactory();
      String serving = factory.getConnection().getRemoteAddress();
      return factory.getServerLocator().getTopology().getMembers().stream()
          .map(member -> member.getBackup())
          .anyMatch(
              backup -> backup != null && !serving.endsWith(":" + backup.getParams().get("port")));
    }

    /** Ends the live, and returns when the connection has found the next one. */
    void move(String how) throws Exception {
      Json.print("{\"group\":" + Json.text(how) + "}");
      FailoverEventType broken = events.poll(Scene.WAIT_MS, TimeUnit.MILLISECONDS);
      Check.equal(FailoverEventType.FAILURE_DETECTED, broken, "the first event");
      FailoverEventType back = events.poll(Scene.WAIT_MS, TimeUnit.MILLISECONDS);
      Check.equal(FailoverEventType.FAILOVER_COMPLETED, back, "the second event");
    }
  }

  /** Connects as a group of two needs it, with the option {@code pair}, or one of three. */
  private static Connection connect(Scene scene, String window) throws JMSException {
    String where = scene.option("pair") == null ? EVERYWHERE : OF_TWO;
    return scene.connect(where, window);
  }

  private static void goesOn(Scene scene, String how) throws Exception {
    Connection connection = connect(scene, "");
    Watched watched = new Watched(connection);
    Session session = connection.createSession();
    Queue queue = scene.queue(session, "goes-on");
    MessageConsumer consumer = session.createConsumer(queue);
    for (int number = 0; number < 9; number += 3) {
      watched.moveWhenTold(how);
      Scene.sendNumbers(session, queue, number, 3);
      Scene.receiveNumbers(consumer, number, 3);
    }
    Scene.receiveNothing(consumer);
  }

  private static void everywhere(Scene scene) throws Exception {
    Connection connection = connect(scene, "");
    Watched watched = new Watched(connection);
    Session session = connection.createSession();
    Queue queue = scene.queue(session, "everywhere");
    MessageConsumer consumer = session.createConsumer(queue);
    for (int number = 0; number < 6; number += 3) {
      watched.move("kill two");
      Scene.sendNumbers(session, queue, number, 3);
      Scene.receiveNumbers(consumer, number, 3);
    }
    Scene.receiveNothing(consumer);
  }

  private static void transaction(Scene scene, String window) throws Exception {
    Connection connection = connect(scene, window);
    Watched watched = new Watched(connection);
    Session session = connection.createSession(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "transaction");
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.sendNumbers(session, queue, 0, 3);
    session.commit();
    Scene.receiveNumbers(consumer, 0, 2);
    Scene.sendNumbers(session, queue, 3, 3);
    watched.move("kill");
    Check.fails(TransactionRolledBackException.class, "the commit", session::commit);
    // Nothing of it has taken effect: neither what it had received nor what it had sent.
    Scene.receiveNumbers(consumer, 0, 3);
    Scene.sendNumbers(session, queue, 3, 1);
    session.commit();
    Scene.receiveNumbers(consumer, 3, 1);
    session.commit();
    Scene.receiveNothing(consumer);
  }

  private static void acknowledged(Scene scene, String window) throws Exception {
    Connection connection = connect(scene, window);
    Watched watched = new Watched(connection);
    Session session = connection.createSession(ActiveMQJMSConstants.INDIVIDUAL_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "acknowledged");
    Scene.sendNumbers(session, queue, 0, 8);
    MessageConsumer consumer = session.createConsumer(queue);
    for (int number = 0; number < 4; number += 1) Scene.receive(consumer).acknowledge();
    Scene.receiveNumbers(consumer, 4, 2);
    watched.move("kill");
    // The client takes acknowledgements for a transaction, which the move has ended.
    Message first = Scene.receive(consumer);
    Check.fails(TransactionRolledBackException.class, "the first one", first::acknowledge);
    for (int number = 4; number < 8; number += 1) {
      Message message = Scene.receive(consumer);
      Check.equal(String.valueOf(number), ((TextMessage) message).getText(), "the next message");
      if (number < 6) Check.that(message.getJMSRedelivered(), number + " comes as if for the first time");
      message.acknowledge();
    }
    Scene.receiveNothing(consumer);
  }

  private static void sends(Scene scene, String window) throws Exception {
    Connection connection = connect(scene, window);
    Watched watched = new Watched(connection);
    Session session = connection.createSession();
    Queue queue = scene.queue(session, "sends");
    int count = 0;
    try (MessageProducer producer = session.createProducer(queue)) {
      for (int kill = 1; kill <= 3; kill += 1) {
        Json.print("{\"group\":\"kill\"}");
        int end = count + 50;
        while (watched.completedCount.get() < kill || count < end) {
          TextMessage message = session.createTextMessage(String.valueOf(count));
          message.setStringProperty("_AMQ_DUPL_ID", scene.name(String.valueOf(count)));
          sendUntilAnswered(producer, message);
          count += 1;
        }
      }
    }
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, count);
    Scene.receiveNothing(consumer);
  }

  /** Who is told that nobody knows sends again, under the same duplicate id. */
  private static void sendUntilAnswered(MessageProducer producer, Message message) throws Exception {
    for (int attempt = 1; ; attempt += 1) {
      try {
        producer.send(message);
        return;
      } catch (JMSException error) {
        if (attempt == 100) throw error;
      }
    }
  }

  private static void tellOutages() {
    List<Long> sorted = OUTAGES_MS.stream().sorted().toList();
    Check.that(!sorted.isEmpty(), "there was none");
    Json.print(
        "{\"figure\":\"outages of Java's client on a group, ms\",\"count\":"
            + sorted.size()
            + ",\"median\":"
            + sorted.get(sorted.size() / 2)
            + ",\"worst\":"
            + sorted.get(sorted.size() - 1)
            + "}");
  }
}
