package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.Destination;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import jakarta.jms.TransactionRolledBackException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.activemq.artemis.api.core.client.FailoverEventType;
import org.apache.activemq.artemis.api.jms.ActiveMQJMSConstants;
import org.apache.activemq.artemis.jms.client.ActiveMQConnection;
import org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory;

/**
 * The load of {@code npm run torture}: a thread for each producer and each consumer of the plan, which write down
 * what they mean to do and what came of it as test/torture/history-line.ts says. Producers set duplicate ids and repeat
 * what failed. Arguments: folder, URL, microseconds between two messages of one producer.
 */
final class Torture {
  private static final int NONE = 0;
  private static final int APPLIED = 1;
  private static final int UNKNOWN = 2;
  private static final String DUPLICATE_ID = "_AMQ_DUPL_ID";

  private final Path folder;
  private final OutputStream history;
  private final AtomicLong transactions = new AtomicLong();
  private final AtomicLong deliveries = new AtomicLong();
  private final long pauseMicroseconds;
  /** One for each thread that has what it works with: calls that are not repeated come before any fault. */
  private CountDownLatch settingUp = new CountDownLatch(0);
  private volatile boolean isStopping;
  private volatile boolean isFinishing;

  private Torture(Path folder, long pauseMicroseconds) throws IOException {
    this.folder = folder;
    this.pauseMicroseconds = pauseMicroseconds;
    history = new FileOutputStream(folder.resolve("client-0.history").toFile(), true);
  }

  public static void main(String[] args) throws Exception {
    new Torture(Path.of(args[0]), Long.parseLong(args[2])).run(args[1]);
    System.exit(0);
  }

  private void run(String url) throws Exception {
    write("B 0");
    List<Thread> producers = new ArrayList<>();
    List<Thread> consumers = new ArrayList<>();
    List<Connection> connections = new ArrayList<>();
    for (String line : Files.readAllLines(folder.resolve("java-plan.txt"))) {
      Client client = new Client(line.split(" "));
      // Every other one asks to be attached again to its session rather than to have a new one.
      String window = client.number % 2 == 0 ? "&confirmationWindowSize=1048576" : "";
      Connection connection = new ActiveMQConnectionFactory(url + window).createConnection();
      connections.add(connection);
      listen(client, (ActiveMQConnection) connection);
      connection.start();
      producers.add(new Thread(work(() -> produce(client, connection))));
      consumers.add(new Thread(work(() -> consume(client, connection))));
    }
    settingUp = new CountDownLatch(consumers.size() + producers.size());
    for (Thread thread : consumers) thread.start();
    for (Thread thread : producers) thread.start();
    settingUp.await();
    say("ready");
    await("stop");
    isStopping = true;
    for (Thread thread : producers) thread.join();
    say("stopped");
    await("finish");
    isFinishing = true;
    for (Thread thread : consumers) thread.join();
    for (Connection connection : connections) connection.close();
    write("E");
    say("finished");
  }

  private void listen(Client client, ActiveMQConnection connection) throws JMSException {
    connection.setFailoverListener(
        event -> {
          if (event == FailoverEventType.FAILURE_DETECTED) write("L", client.number, now());
          if (event == FailoverEventType.FAILOVER_COMPLETED) write("l", client.number, now());
        });
  }

  private void produce(Client client, Connection connection) throws Exception {
    Random random = new Random(client.number);
    Session session =
        connection.createSession(
            client.isTransacted,
            client.isTransacted ? Session.SESSION_TRANSACTED : Session.AUTO_ACKNOWLEDGE);
    Destination destination =
        client.isTopic ? session.createTopic(client.address) : session.createQueue(client.address);
    MessageProducer producer = session.createProducer(destination);
    settingUp.countDown();
    long number = 1;
    long due = now();
    while (!isStopping) {
      int count = client.isTransacted ? 1 + random.nextInt(20) : 1;
      // What an outage has held up is made up for.
      due += pauseMicroseconds * count;
      Thread.sleep(Math.max(0, (due - now()) / 1_000));
      if (client.isTransacted) sendTogether(client, session, producer, number, count, random);
      else sendOne(client, session, producer, number);
      number += count;
    }
  }

  private void sendOne(Client client, Session session, MessageProducer producer, long number)
      throws Exception {
    write("S", client.number, number, client.addressId, 0);
    Message message = message(session, client.number, number);
    while (true) {
      try {
        producer.send(message);
        break;
      } catch (JMSException error) {
        // The same message under the same id: the broker keeps one of them.
        Thread.sleep(20);
      }
    }
    write("s", client.number, number, APPLIED);
  }

  private void sendTogether(
      Client client, Session session, MessageProducer producer, long first, int count, Random random)
      throws Exception {
    long transaction = transactions.incrementAndGet();
    for (long number = first; number < first + count; number += 1) {
      write("S", client.number, number, client.addressId, transaction);
    }
    boolean isMeant = random.nextInt(20) > 0;
    write(isMeant ? "C" : "R", transaction);
    while (true) {
      try {
        for (long number = first; number < first + count; number += 1) {
          producer.send(message(session, client.number, number));
        }
        if (isMeant) session.commit();
        else session.rollback();
        break;
      } catch (JMSException error) {
        rollBack(session);
        // Its first commit took effect, whose answer was lost.
        if (isDuplicate(error)) break;
        if (!isMeant) break;
        Thread.sleep(20);
      }
    }
    for (long number = first; number < first + count; number += 1) {
      write("s", client.number, number, APPLIED);
    }
    write("c", transaction, isMeant ? APPLIED : NONE, now());
  }

  private void consume(Client client, Connection connection) throws Exception {
    if (client.manner.equals("transacted") || client.manner.equals("relay")) {
      consumeTogether(client, connection);
      return;
    }
    Taking taking =
        new Taking(client, connection, false, ActiveMQJMSConstants.INDIVIDUAL_ACKNOWLEDGE);
    settingUp.countDown();
    while (!isFinishing) {
      Message message = receive(taking.consumer, 200);
      if (message == null) continue;
      long delivery = noteDelivery(client, message, 0);
      write("K", delivery);
      int outcome = APPLIED;
      try {
        message.acknowledge();
      } catch (JMSException error) {
        outcome = UNKNOWN;
      }
      write("k", delivery, outcome, now());
      if (outcome == UNKNOWN) taking.renew();
    }
  }

  private void consumeTogether(Client client, Connection connection) throws Exception {
    Random random = new Random(client.number);
    Taking taking = new Taking(client, connection, true, Session.SESSION_TRANSACTED);
    settingUp.countDown();
    long sent = 0;
    while (!isFinishing) {
      Message message = receive(taking.consumer, 200);
      if (message == null) continue;
      long transaction = transactions.incrementAndGet();
      boolean isMeant = random.nextInt(30) > 0;
      try {
        for (int count = random.nextInt(20); message != null; count -= 1) {
          long delivery = noteDelivery(client, message, transaction);
          write("K", delivery);
          // With a transacted session there is nothing to call: it belongs to the transaction.
          write("k", delivery, APPLIED, now());
          if (taking.output != null) {
            sent += 1;
            relay(client, taking.session, taking.output, sent, transaction);
          }
          message = count > 0 ? taking.consumer.receive(5) : null;
        }
      } catch (JMSException error) {
        isMeant = false;
      }
      if (!end(taking.session, transaction, isMeant)) taking.renew();
    }
  }

  private void relay(
      Client client, Session session, MessageProducer output, long number, long transaction)
      throws JMSException {
    write("S", client.relay, number, client.outputId, transaction);
    int outcome = NONE;
    try {
      output.send(session.createTextMessage(body(client.relay, number, 100)));
      outcome = APPLIED;
    } finally {
      write("s", client.relay, number, outcome);
    }
  }

  /** False when the session threw. */
  private boolean end(Session session, long transaction, boolean isMeant) {
    write(isMeant ? "C" : "R", transaction);
    int outcome = isMeant ? APPLIED : NONE;
    boolean isSound = true;
    try {
      if (isMeant) session.commit();
      else session.rollback();
    } catch (TransactionRolledBackException error) {
      outcome = NONE;
      isSound = false;
    } catch (JMSException error) {
      if (isMeant) outcome = UNKNOWN;
      isSound = false;
    }
    write("c", transaction, outcome, now());
    return isSound;
  }

  private static void rollBack(Session session) {
    try {
      session.rollback();
    } catch (JMSException error) {
      // The session was made anew, and has nothing to roll back.
    }
  }

  private static Message receive(MessageConsumer consumer, long milliseconds)
      throws InterruptedException {
    try {
      return consumer.receive(milliseconds);
    } catch (JMSException error) {
      Thread.sleep(20);
      return null;
    }
  }

  private static boolean isDuplicate(Throwable error) {
    for (Throwable each = error; each != null; each = each.getCause()) {
      if (String.valueOf(each.getMessage()).contains("uplicate")) return true;
    }
    return false;
  }

  private static Message message(Session session, long producer, long number) throws JMSException {
    long size = 20 + (number * 37 + producer) % 400;
    TextMessage message = session.createTextMessage(body(producer, number, size));
    message.setStringProperty(DUPLICATE_ID, producer + "-" + number);
    return message;
  }

  private static String body(long producer, long number, long size) {
    StringBuilder text = new StringBuilder(producer + " " + number + " " + size + " ");
    while (text.length() < size) text.append('=');
    return text.toString();
  }

  private long noteDelivery(Client client, Message message, long transaction) throws JMSException {
    long delivery = deliveries.incrementAndGet();
    String[] words = ((TextMessage) message).getText().split(" ", 4);
    long producer = Long.parseLong(words[0]);
    long number = Long.parseLong(words[1]);
    boolean isWhole =
        ((TextMessage) message).getText().equals(body(producer, number, Long.parseLong(words[2])));
    long redelivered = message.getJMSRedelivered() ? 1 : 0;
    write(
        "D",
        delivery,
        client.queueId,
        client.number,
        isWhole ? producer : -1,
        isWhole ? number : -1,
        redelivered,
        transaction,
        now());
    return delivery;
  }

  private synchronized void write(String letter, long... numbers) {
    StringBuilder line = new StringBuilder(letter);
    for (long number : numbers) line.append(' ').append(number);
    try {
      history.write(line.append('\n').toString().getBytes(StandardCharsets.US_ASCII));
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  /** The monotonic clock, which all processes of the machine share. */
  private static long now() {
    return System.nanoTime() / 1_000;
  }

  private static void say(String word) {
    System.out.println("{\"says\":\"" + word + "\"}");
  }

  private void await(String word) throws InterruptedException {
    while (!Files.exists(folder.resolve(word))) Thread.sleep(20);
  }

  /**
   * A session that takes messages, and its consumer. A rollback stops the session first, and one that throws in
   * an outage has left it stopped: whoever goes on with it gets nothing more.
   */
  private final class Taking {
    private final Client client;
    private final Connection connection;
    private final boolean isTransacted;
    private final int mode;
    Session session;
    MessageConsumer consumer;
    /** Where messages are relayed to; null where they are not. */
    MessageProducer output;

    Taking(Client client, Connection connection, boolean isTransacted, int mode)
        throws JMSException {
      this.client = client;
      this.connection = connection;
      this.isTransacted = isTransacted;
      this.mode = mode;
      open();
    }

    private void open() throws JMSException {
      session = connection.createSession(isTransacted, mode);
      consumer = session.createConsumer(session.createQueue(client.queue));
      if (client.manner.equals("relay")) {
        output = session.createProducer(session.createQueue(client.output));
      }
    }

    /** Goes on with a new session, as an application does after an error. */
    void renew() throws InterruptedException {
      while (!isFinishing) {
        try {
          session.close();
          open();
          return;
        } catch (JMSException error) {
          Thread.sleep(20);
        }
      }
    }
  }

  private interface Work {
    void run() throws Exception;
  }

  private static Runnable work(Work work) {
    return () -> {
      try {
        work.run();
      } catch (Exception error) {
        error.printStackTrace();
        System.exit(1);
      }
    };
  }

  /** A line of the plan. */
  private static final class Client {
    final int number;
    final int addressId;
    final String address;
    final boolean isTopic;
    final boolean isTransacted;
    final int queueId;
    final String queue;
    final String manner;
    final int outputId;
    final String output;
    final int relay;

    Client(String[] words) {
      number = Integer.parseInt(words[0]);
      addressId = Integer.parseInt(words[1]);
      address = words[2];
      isTopic = words[3].equals("multicast");
      isTransacted = words[4].equals("true");
      queueId = Integer.parseInt(words[5]);
      queue = words[6];
      manner = words[7];
      outputId = Integer.parseInt(words[8]);
      output = words[9];
      relay = Integer.parseInt(words[10]);
    }
  }
}
