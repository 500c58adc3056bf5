package everhold.interop;

import jakarta.jms.CompletionListener;
import jakarta.jms.Connection;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory;

/**
 * What sends and receptions take, and what they would take in a session that outlives its live. Prints the µs of each way,
 * in each of so many rounds.
 *
 * <p>Arguments: the URL, and how many rounds.
 */
final class SessionPrice {
  private static final int SIZE = 10;

  /** How often each way is gone in a round. */
  private static final int TIMES = 40;

  private final Session transacted;
  private final Session single;
  private final Queue queue;
  private final MessageConsumer consumer;

  private interface Way {
    void go() throws Exception;
  }

  private record Named(String name, Way way) {}

  private SessionPrice(Connection connection) throws JMSException {
    transacted = connection.createSession(Session.SESSION_TRANSACTED);
    single = connection.createSession(Session.AUTO_ACKNOWLEDGE);
    queue = single.createQueue("session-price");
    consumer = connection.createSession(Session.AUTO_ACKNOWLEDGE).createConsumer(passing());
  }

  public static void main(String[] args) throws Exception {
    String url = args[0] + "?ha=true&confirmationWindowSize=1048576";
    try (var factory = new ActiveMQConnectionFactory(url);
        Connection connection = factory.createConnection()) {
      connection.start();
      new SessionPrice(connection).run(Integer.parseInt(args[1]));
    }
    System.exit(0);
  }

  private void run(int rounds) throws Exception {
    Named[] ways = {
      new Named("one transaction", this::sendTogether),
      new Named("each stored on all members, all under way at once", this::sendAtOnce),
      new Named("delivered when it is on all members", () -> pass(0)),
      new Named("delivered after one more wait for them", () -> pass(1)),
    };
    // The first round finds cold code.
    for (int round = -1; round < rounds; round += 1) {
      for (int place = 0; place < ways.length; place += 1) {
        // Every other round in reverse: a machine that gets slower meanwhile does the same to all.
        Named one = ways[round % 2 == 0 ? place : ways.length - 1 - place];
        long startedNs = System.nanoTime();
        for (int time = 0; time < TIMES; time += 1) one.way.go();
        long micros = (System.nanoTime() - startedNs) / TIMES / 1_000;
        if (round >= 0) Json.print("{\"way\":" + Json.text(one.name) + ",\"micros\":" + micros + "}");
      }
    }
  }

  /** Sends of a transaction are not answered: the client waits at its commit only. */
  private void sendTogether() throws JMSException {
    Scene.sendNumbers(transacted, queue, 0, SIZE);
    transacted.commit();
  }

  private void sendAtOnce() throws Exception {
    CountDownLatch done = new CountDownLatch(SIZE);
    AtomicReference<Exception> failure = new AtomicReference<>();
    CompletionListener listener =
        new CompletionListener() {
          @Override
          public void onCompletion(Message message) {
            done.countDown();
          }

          @Override
          public void onException(Message message, Exception error) {
            failure.set(error);
            done.countDown();
          }
        };
    try (MessageProducer producer = single.createProducer(queue)) {
      for (int number = 0; number < SIZE; number += 1) {
        producer.send(single.createTextMessage(String.valueOf(number)), listener);
      }
      done.await();
    }
    if (failure.get() != null) throw failure.get();
  }

  /** A durable message from its send to its consumer; so many answered sends between stand for more waits. */
  private void pass(int waits) throws JMSException {
    Scene.sendNumbers(single, passing(), 0, 1);
    Scene.sendNumbers(single, queue, 0, waits);
    Scene.receive(consumer);
  }

  private Queue passing() throws JMSException {
    return single.createQueue("session-price-passing");
  }
}
