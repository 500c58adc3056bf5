package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.IllegalStateException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.QueueBrowser;
import jakarta.jms.Session;
import jakarta.jms.TemporaryQueue;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/** Closing in every state, and what remains. */
final class Closing {
  private Closing() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("everything can be closed twice", Closing::twice)
        .add("a connection that was never started is closed", Closing::unstarted)
        .add("a consumer is closed with messages in its window", Closing::prefetched)
        .add("a consumer is closed in the middle of a transaction", Closing::inTransaction)
        .add("a session is closed before its consumers", Closing::sessionFirst)
        .add("a connection is closed before its sessions", Closing::connectionFirst)
        .add("a connection is closed in the middle of a transaction", Closing::connectionInTransaction)
        .add("a blocked receive ends when its consumer is closed", scene -> blocked(scene, "consumer"))
        .add("a blocked receive ends when its session is closed", scene -> blocked(scene, "session"))
        .add("a blocked receive ends when its connection is closed", scene -> blocked(scene, "connection"))
        .add("a blocked receive without window ends when its consumer is closed", Closing::blockedZeroWindow)
        .add("closing waits for the listener that runs", Closing::whileListening)
        .add("a listener closes its own consumer", Closing::ownConsumer)
        .add("a listener may not close its session or connection", Closing::ownSession)
        .add("a message of a closed session is not acknowledged", Closing::lateAcknowledge)
        .add("what is closed refuses everything", Closing::refuses)
        .add("sessions are opened and closed a thousand times", Closing::thousand)
        .add("consumers are opened and closed while messages flow", Closing::churn)
        .add("a connection is closed by a thread while others use it", Closing::concurrent)
        .run();
  }

  private static void twice(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession();
    Queue queue = scene.queue(session, "twice");
    MessageProducer producer = session.createProducer(queue);
    MessageConsumer consumer = session.createConsumer(queue);
    QueueBrowser browser = session.createBrowser(queue);
    browser.getEnumeration();
    for (int time = 0; time < 2; time += 1) {
      browser.close();
      consumer.close();
      producer.close();
    }
    for (int time = 0; time < 2; time += 1) session.close();
    for (int time = 0; time < 2; time += 1) connection.close();
  }

  private static void unstarted(Scene scene) throws Exception {
    Connection connection = scene.connectStopped();
    Session session = connection.createSession(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "unstarted");
    session.createConsumer(queue);
    Scene.sendNumbers(session, queue, 0, 3);
    session.commit();
    connection.close();
    scene.connectStopped().close();
    Scene.receiveNumbers(scene.session().createConsumer(queue), 0, 3);
  }

  private static void prefetched(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "prefetched");
    Scene.sendNumbers(session, queue, 0, 100);
    for (int round = 0; round < 10; round += 1) {
      MessageConsumer consumer = session.createConsumer(queue);
      Scene.receiveNumbers(consumer, round * 10, 10);
      consumer.close();
    }
    Scene.receiveNothing(session.createConsumer(queue));
  }

  private static void inTransaction(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "transaction");
    Scene.sendNumbers(session, queue, 0, 6);
    session.commit();
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 2);
    consumer.close();
    // Another one of the same transaction goes on where the first one stopped.
    consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 2, 2);
    consumer.close();
    session.rollback();
    consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 3);
    consumer.close();
    session.commit();
    Scene.receiveNumbers(scene.session().createConsumer(queue), 3, 3);
  }

  private static void sessionFirst(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "session");
    Scene.sendNumbers(session, queue, 0, 4);
    MessageConsumer consumer = session.createConsumer(queue);
    MessageProducer producer = session.createProducer(queue);
    Scene.receiveNumbers(consumer, 0, 2);
    session.close();
    consumer.close();
    producer.close();
    // The connection is as good as before.
    Scene.receiveNumbers(connection.createSession().createConsumer(queue), 0, 4);
  }

  private static void connectionFirst(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession();
    Queue queue = scene.queue(session, "connection");
    Topic topic = scene.topic(session, "connection");
    TemporaryQueue temporary = session.createTemporaryQueue();
    MessageConsumer consumer = session.createConsumer(queue);
    MessageConsumer subscriber = session.createConsumer(topic);
    MessageConsumer ofTemporary = session.createConsumer(temporary);
    Session other = connection.createSession(Session.SESSION_TRANSACTED);
    MessageProducer producer = other.createProducer(queue);
    connection.close();
    other.close();
    session.close();
    ofTemporary.close();
    subscriber.close();
    consumer.close();
    producer.close();
  }

  private static void connectionInTransaction(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "connection");
    Scene.sendNumbers(session, queue, 0, 3);
    session.commit();
    Scene.receiveNumbers(session.createConsumer(queue), 0, 1);
    Scene.sendNumbers(session, queue, 3, 3);
    connection.close();
    MessageConsumer consumer = scene.session().createConsumer(queue);
    Check.equal("0 again 2", Acknowledgement.describe(Scene.receive(consumer)), "the first");
    Scene.receiveNumbers(consumer, 1, 2);
    Scene.receiveNothing(consumer);
  }

  private static void blocked(Scene scene, String what) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession();
    MessageConsumer consumer = session.createConsumer(scene.queue(session, "blocked"));
    AutoCloseable closed =
        switch (what) {
          case "consumer" -> consumer;
          case "session" -> session;
          default -> connection;
        };
    expectEnd(consumer, closed);
  }

  private static void blockedZeroWindow(Scene scene) throws Exception {
    Session session = scene.session("consumerWindowSize=0");
    MessageConsumer consumer = session.createConsumer(scene.queue(session, "blocked"));
    expectEnd(consumer, consumer);
  }

  /** Closes something while a receive waits, which then ends without a message. */
  private static void expectEnd(MessageConsumer consumer, AutoCloseable closed) throws Exception {
    AtomicReference<Object> outcome = new AtomicReference<>("nothing");
    Thread thread =
        new Thread(
            () -> {
              try {
                outcome.set(consumer.receive());
              } catch (Exception error) {
                outcome.set(error);
              }
            });
    thread.setDaemon(true);
    thread.start();
    while (thread.getState() == Thread.State.NEW || thread.getState() == Thread.State.RUNNABLE) Thread.sleep(1);
    Thread.sleep(Scene.QUIET_MS);
    closed.close();
    thread.join(Scene.WAIT_MS);
    Check.equal(null, outcome.get(), "what the blocked receive gives");
  }

  private static void whileListening(Scene scene) throws Exception {
    Session sending = scene.session();
    Queue queue = scene.queue(sending, "listening");
    Scene.sendNumbers(sending, queue, 0, 3);
    Connection connection = scene.connect();
    CountDownLatch started = new CountDownLatch(1);
    AtomicReference<String> done = new AtomicReference<>();
    connection
        .createSession()
        .createConsumer(queue)
        .setMessageListener(
            message -> {
              started.countDown();
              try {
                Thread.sleep(2 * Scene.QUIET_MS);
              } catch (InterruptedException error) {
                throw new AssertionError(error);
              }
              done.set(Delivery.textOf(message));
            });
    Check.that(started.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "the listener was not called");
    connection.close();
    Check.equal("0", done.get(), "what the listener had done when close came back");
    Scene.receiveNumbers(scene.session().createConsumer(queue), 1, 2);
  }

  private static void ownConsumer(Scene scene) throws Exception {
    Session sending = scene.session();
    Queue queue = scene.queue(sending, "own");
    Scene.sendNumbers(sending, queue, 0, 3);
    Session session = scene.session();
    MessageConsumer consumer = session.createConsumer(queue);
    CountDownLatch closed = new CountDownLatch(1);
    AtomicReference<Exception> failure = new AtomicReference<>();
    consumer.setMessageListener(
        message -> {
          try {
            consumer.close();
          } catch (Exception error) {
            failure.set(error);
          }
          closed.countDown();
        });
    Check.that(closed.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "close did not come back");
    Check.equal(null, failure.get(), "how close fails");
    session.close();
    // The message in hand could not be acknowledged any more.
    Scene.receiveNumbers(scene.session().createConsumer(queue), 0, 3);
  }

  private static void ownSession(Scene scene) throws Exception {
    Session sending = scene.session();
    Queue queue = scene.queue(sending, "own-session");
    Scene.sendNumbers(sending, queue, 0, 1);
    Connection connection = scene.connect();
    Session session = connection.createSession();
    BlockingQueue<String> outcomes = new LinkedBlockingQueue<>();
    session
        .createConsumer(queue)
        .setMessageListener(
            message -> {
              for (AutoCloseable each : List.of(session, connection)) {
                try {
                  each.close();
                  outcomes.add("closed");
                } catch (IllegalStateException error) {
                  outcomes.add("refused");
                } catch (Exception error) {
                  outcomes.add(error.toString());
                }
              }
            });
    for (int index = 0; index < 2; index += 1) {
      Check.equal("refused", outcomes.poll(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "the close");
    }
  }

  private static void lateAcknowledge(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "late");
    Scene.sendNumbers(session, queue, 0, 1);
    Message message = Scene.receive(session.createConsumer(queue));
    session.close();
    Check.fails(IllegalStateException.class, "acknowledge", message::acknowledge);
    Scene.receiveNumbers(connection.createSession().createConsumer(queue), 0, 1);
  }

  private static void refuses(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession();
    Queue queue = scene.queue(session, "refuses");
    MessageProducer producer = session.createProducer(queue);
    MessageConsumer consumer = session.createConsumer(queue);
    TextMessage message = session.createTextMessage("text");
    producer.close();
    Check.fails(IllegalStateException.class, "send", () -> producer.send(message));
    consumer.close();
    Check.fails(IllegalStateException.class, "receive", consumer::receive);
    session.close();
    Check.fails(IllegalStateException.class, "createMessage", session::createMessage);
    Check.fails(IllegalStateException.class, "createConsumer", () -> session.createConsumer(queue));
    Check.fails(IllegalStateException.class, "recover", session::recover);
    connection.close();
    Check.fails(IllegalStateException.class, "createSession", connection::createSession);
    Check.fails(IllegalStateException.class, "start", connection::start);
  }

  private static void thousand(Scene scene) throws Exception {
    Connection connection = scene.connect();
    for (int number = 0; number < 1_000; number += 1) {
      Session session = connection.createSession(number % 4);
      if (number % 10 == 0) session.createConsumer(scene.queue(session, "thousand"));
      session.close();
    }
    Session last = connection.createSession();
    Queue queue = scene.queue(last, "thousand");
    Scene.sendNumbers(last, queue, 0, 1);
    Scene.receiveNumbers(last.createConsumer(queue), 0, 1);
  }

  private static void churn(Scene scene) throws Exception {
    Session sending = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(sending, "churn");
    Connection connection = scene.connect();
    int next = 0;
    for (int round = 0; round < 20; round += 1) {
      Scene.sendNumbers(sending, queue, round * 25, 25);
      sending.commit();
      Session session = connection.createSession(Session.SESSION_TRANSACTED);
      MessageConsumer consumer = session.createConsumer(queue);
      for (int count = 0; count < 20; count += 1) {
        Check.equal(String.valueOf(next), Scene.receiveText(consumer), "the next message");
        next += 1;
      }
      session.commit();
      // What is received and not committed comes again, though it is closed in a different way.
      Scene.receive(consumer);
      if (round % 3 == 0) consumer.close();
      if (round % 3 < 2) session.close();
      if (round % 3 == 2) {
        connection.close();
        connection = scene.connect();
      }
    }
    MessageConsumer rest = connection.createSession().createConsumer(queue);
    Scene.receiveNumbers(rest, next, 500 - next);
    Scene.receiveNothing(rest);
  }

  private static void concurrent(Scene scene) throws Exception {
    Connection connection = scene.connect();
    CountDownLatch running = new CountDownLatch(4);
    CountDownLatch ended = new CountDownLatch(4);
    for (int index = 0; index < 4; index += 1) {
      Session session = connection.createSession();
      Queue queue = scene.queue(session, "concurrent" + index);
      Thread thread =
          new Thread(
              () -> {
                try {
                  MessageConsumer consumer = session.createConsumer(queue);
                  for (int number = 0; ; number += 1) {
                    Scene.sendNumbers(session, queue, number, 1);
                    consumer.receive();
                    if (number == 10) running.countDown();
                  }
                } catch (Exception error) {
                  // That is how it ends: the connection is closed.
                  ended.countDown();
                }
              });
      thread.setDaemon(true);
      thread.start();
    }
    Check.that(running.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "not all are running");
    connection.close();
    Check.that(ended.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "not all have ended");
  }
}
