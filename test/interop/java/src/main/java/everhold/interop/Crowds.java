package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.MessageConsumer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory;

/** Many sessions and many connections at once. */
final class Crowds {
  private static final int CONNECTIONS = 1_000;

  private Crowds() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("50 sessions of one connection send and receive at once", 120_000, Crowds::sessions)
        .add("50 connections work on one queue, each message once", 120_000, Crowds::oneQueue)
        .add("1,000 connections at once, each with a queue of its own", 240_000, Crowds::connections)
        .run();
  }

  private interface Work {
    void run(int index) throws Exception;
  }

  /** Runs work in as many threads at once, and fails with the first failure. */
  private static void inThreads(int count, Work work) throws Exception {
    CountDownLatch done = new CountDownLatch(count);
    Set<Throwable> failures = ConcurrentHashMap.newKeySet();
    for (int index = 0; index < count; index += 1) {
      int own = index;
      Thread thread =
          new Thread(
              () -> {
                try {
                  work.run(own);
                } catch (Throwable error) {
                  failures.add(error);
                }
                done.countDown();
              });
      thread.setDaemon(true);
      thread.start();
    }
    Check.that(done.await(100, TimeUnit.SECONDS), done.getCount() + " threads are not done");
    for (Throwable failure : failures) throw new AssertionError(failures.size() + " failed", failure);
  }

  private static void sessions(Scene scene) throws Exception {
    Connection connection = scene.connect();
    List<Session> sessions = new ArrayList<>();
    for (int index = 0; index < 50; index += 1) {
      boolean isTransacted = index % 2 == 1;
      sessions.add(
          connection.createSession(
              isTransacted ? Session.SESSION_TRANSACTED : Session.AUTO_ACKNOWLEDGE));
    }
    inThreads(
        50,
        index -> {
          Session session = sessions.get(index);
          Queue queue = scene.queue(session, "own" + index);
          MessageConsumer consumer = session.createConsumer(queue);
          for (int round = 0; round < 10; round += 1) {
            Scene.sendNumbers(session, queue, round * 10, 10);
            if (session.getTransacted()) session.commit();
            Scene.receiveNumbers(consumer, round * 10, 10);
            if (session.getTransacted()) session.commit();
          }
        });
  }

  private static void oneQueue(Scene scene) throws Exception {
    int total = 2_000;
    Session sending = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(sending, "one");
    Set<String> received = ConcurrentHashMap.newKeySet();
    Set<String> twice = ConcurrentHashMap.newKeySet();
    CountDownLatch rest = new CountDownLatch(total);
    for (int index = 0; index < 50; index += 1) {
      scene
          .session()
          .createConsumer(queue)
          .setMessageListener(
              message -> {
                if (!received.add(Delivery.textOf(message))) twice.add(Delivery.textOf(message));
                rest.countDown();
              });
    }
    for (int batch = 0; batch < 4; batch += 1) {
      Scene.sendNumbers(sending, queue, batch * total / 4, total / 4);
      sending.commit();
    }
    Check.that(rest.await(100, TimeUnit.SECONDS), rest.getCount() + " never came");
    Check.equal(Set.of(), twice, "what came twice");
    Check.equal(total, received.size(), "the count of messages");
  }

  private static void connections(Scene scene) throws Exception {
    // One factory, so that they share their threads.
    ActiveMQConnectionFactory factory = scene.factory();
    List<Session> sessions = new ArrayList<>();
    List<MessageConsumer> consumers = new ArrayList<>();
    for (int index = 0; index < CONNECTIONS; index += 1) {
      Connection connection = scene.keep(factory.createConnection());
      connection.start();
      Session session = connection.createSession();
      sessions.add(session);
      consumers.add(session.createConsumer(scene.queue(session, "own" + index)));
    }
    for (int round = 0; round < 2; round += 1) {
      for (int index = 0; index < CONNECTIONS; index += 1) {
        Session next = sessions.get((index + 1) % CONNECTIONS);
        Scene.sendNumbers(next, scene.queue(next, "own" + index), index, 1);
      }
      for (int index = 0; index < CONNECTIONS; index += 1) {
        Scene.receiveNumbers(consumers.get(index), index, 1);
      }
    }
  }
}
