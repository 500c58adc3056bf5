package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.JMSException;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/**
 * What clients notice of a broker that stops, or is killed, and comes back. The caller does that to the
 * broker when a case prints what it wants: {@code {"broker":"stop"}}, {@code "kill"} or {@code "start"}.
 */
final class BrokerStops {
  /** A broker may take its time to start. */
  private static final long LIMIT_MS = 180_000;

  /**
   * A client that reconnects so fast that it reaches the backlog of the process that dies waits for an answer
   * as long as for any; so that time is short here.
   */
  private static final String FOREVER = "reconnectAttempts=-1&retryInterval=100&callTimeout=3000";

  private BrokerStops() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("an exception listener is told of a broker that stops", LIMIT_MS, scene -> listener(scene, "stop"))
        .add("an exception listener is told of a broker that is killed", LIMIT_MS, scene -> listener(scene, "kill"))
        .add("a blocked receive ends when the broker is killed", LIMIT_MS, BrokerStops::blocked)
        .add("durable messages are there after a kill, others are not", LIMIT_MS, BrokerStops::durable)
        .add("a client that reconnects goes on by itself after a kill", LIMIT_MS, scene -> reconnects(scene, "kill"))
        .add("a client that reconnects goes on by itself after a stop", LIMIT_MS, scene -> reconnects(scene, "stop"))
        .add("a transaction that a kill interrupts is rolled back whole", LIMIT_MS, BrokerStops::transaction)
        .add("durable subscriptions are there after a kill", LIMIT_MS, BrokerStops::subscription)
        .run();
  }

  /** Has the broker stopped or killed, and waits until nobody listens there any more. */
  static void end(Scene scene, String how) throws Exception {
    Json.print("{\"broker\":" + Json.text(how) + "}");
    while (isListening(scene.url())) Thread.sleep(10);
  }

  /** Has the broker started again, and waits until it listens. */
  static void start(Scene scene) throws Exception {
    Json.print("{\"broker\":\"start\"}");
    while (!isListening(scene.url())) Thread.sleep(10);
  }

  private static boolean isListening(String url) throws Exception {
    URI uri = new URI(url);
    try (Socket socket = new Socket(uri.getHost(), uri.getPort())) {
      return socket.isConnected();
    } catch (IOException error) {
      return false;
    }
  }

  private static void listener(Scene scene, String how) throws Exception {
    Connection connection = scene.connect();
    AtomicReference<JMSException> told = new AtomicReference<>();
    CountDownLatch isTold = new CountDownLatch(1);
    connection.setExceptionListener(
        error -> {
          told.set(error);
          isTold.countDown();
        });
    Session session = connection.createSession();
    MessageProducer producer = session.createProducer(scene.queue(session, "listener"));
    end(scene, how);
    Check.that(isTold.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "the listener was not told");
    Check.that(told.get() != null, "it was told nothing");
    Check.fails(JMSException.class, "a send", () -> producer.send(session.createMessage()));
    connection.close();
    start(scene);
    scene.connect();
  }

  private static void blocked(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession();
    MessageConsumer consumer = session.createConsumer(scene.queue(session, "blocked"));
    end(scene, "kill");
    try {
      Check.equal(null, consumer.receive(), "what the blocked receive gives");
    } catch (JMSException error) {
      // Either way it does not wait any longer.
    }
    start(scene);
    scene.connect();
  }

  private static void durable(Scene scene) throws Exception {
    Session session = scene.connect().createSession();
    Queue queue = scene.queue(session, "durable");
    try (MessageProducer producer = session.createProducer(queue)) {
      for (int number = 0; number < 20; number += 1) {
        producer.setDeliveryMode(number < 10 ? 2 : 1);
        producer.send(session.createTextMessage(String.valueOf(number)));
      }
    }
    end(scene, "kill");
    start(scene);
    MessageConsumer consumer = scene.connect().createSession().createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 10);
    Scene.receiveNothing(consumer);
  }

  private static void reconnects(Scene scene, String how) throws Exception {
    Connection connection = scene.connect(FOREVER);
    Session session = connection.createSession();
    Queue queue = scene.queue(session, "reconnects");
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.sendNumbers(session, queue, 0, 5);
    Scene.receiveNumbers(consumer, 0, 3);
    end(scene, how);
    start(scene);
    // The kill may come first, or the send; either way it comes through, or says that it did not.
    for (int attempt = 0; ; attempt += 1) {
      try {
        Scene.sendNumbers(session, queue, 5, 1);
        break;
      } catch (JMSException error) {
        if (attempt == 100) throw error;
        Thread.sleep(100);
      }
    }
    int next = 3;
    while (next < 6) {
      int found = Integer.parseInt(Scene.receiveText(consumer));
      // What was under way may come again; nothing is left out.
      Check.that(found <= next, "message " + found + " comes before " + next);
      if (found == next) next += 1;
    }
  }

  private static void transaction(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "transaction");
    Scene.sendNumbers(session, queue, 0, 5);
    session.commit();
    Scene.receiveNumbers(session.createConsumer(queue), 0, 2);
    Scene.sendNumbers(session, queue, 5, 5);
    end(scene, "kill");
    Check.fails(
        JMSException.class,
        "a commit that the kill overtakes",
        session::commit);
    start(scene);
    MessageConsumer consumer = scene.connect().createSession().createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 5);
    Scene.receiveNothing(consumer);
  }

  private static void subscription(Scene scene) throws Exception {
    String client = "clientID=" + scene.name("client");
    Session session = scene.connect(client).createSession();
    var topic = scene.topic(session, "topic");
    session.createDurableConsumer(topic, "mine", "number > 3", false).close();
    end(scene, "kill");
    start(scene);
    Session again = scene.connect(client).createSession();
    try (MessageProducer producer = again.createProducer(topic)) {
      for (int number = 0; number < 6; number += 1) {
        var message = again.createTextMessage(String.valueOf(number));
        message.setIntProperty("number", number);
        producer.send(message);
      }
    }
    MessageConsumer consumer = again.createDurableConsumer(topic, "mine", "number > 3", false);
    Scene.receiveNumbers(consumer, 4, 2);
    Scene.receiveNothing(consumer);
  }
}
