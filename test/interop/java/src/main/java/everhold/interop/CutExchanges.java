package everhold.interop;

import jakarta.jms.BytesMessage;
import jakarta.jms.CompletionListener;
import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.QueueBrowser;
import jakarta.jms.Session;
import jakarta.jms.TemporaryQueue;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import jakarta.jms.TransactionRolledBackException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.activemq.artemis.api.jms.ActiveMQJMSConstants;
import org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory;

/**
 * A little of everything that a program does with a broker, one thing after the other, again and again: each time
 * somebody asks for it, over a way of theirs that breaks. What the program was told is told back, a line for each thing,
 * as test/interop/support/java-exchanges.ts reads it. Arguments: the port of who asks, and how many at the same time.
 */
final class CutExchanges {
  /** Longer than what is certain to come takes, whatever breaks. */
  private static final long WAIT_MS = 60_000;

  /** For what may never come, since a session that is made anew has lost a step before. */
  private static final long DOUBT_MS = 1_000;

  /** A reply that was lost with the temporary queue of a broken connection never comes. */
  private static final long REPLY_MS = 3_000;

  private static final String DUPLICATE_ID = "_AMQ_DUPL_ID";

  private final String prefix;
  private final boolean setsIds;
  private final PrintWriter out;
  private final Connection connection;

  private CutExchanges(String prefix, boolean setsIds, PrintWriter out, Connection connection) {
    this.prefix = prefix;
    this.setsIds = setsIds;
    this.out = out;
    this.connection = connection;
  }

  public static void main(String[] args) throws Exception {
    List<Thread> threads = new ArrayList<>();
    for (int count = Integer.parseInt(args[1]); count > 0; count -= 1) {
      Thread thread =
          new Thread(
              () -> {
                try {
                  serve(Integer.parseInt(args[0]));
                } catch (Exception error) {
                  error.printStackTrace();
                  System.exit(1);
                }
              });
      threads.add(thread);
      thread.start();
    }
    for (Thread thread : threads) thread.join();
    System.exit(0);
  }

  /** Each line asks for one exchange: the URL, the prefix of its names, whether to set duplicate ids. */
  private static void serve(int port) throws Exception {
    try (Socket socket = new Socket("127.0.0.1", port);
        PrintWriter out = new PrintWriter(socket.getOutputStream(), true, StandardCharsets.US_ASCII)) {
      BlockingQueue<String> asked = new LinkedBlockingQueue<>();
      AtomicBoolean isIdle = new AtomicBoolean(true);
      Thread reader = new Thread(() -> read(socket, asked, isIdle));
      reader.setDaemon(true);
      reader.start();
      while (true) {
        String[] words = asked.take().split(" ");
        isIdle.set(false);
        try (ActiveMQConnectionFactory factory = new ActiveMQConnectionFactory(words[0])) {
          Connection connection = factory.createConnection();
          connection.start();
          new CutExchanges(words[1], words[2].equals("ids"), out, connection).run();
        } catch (JMSException error) {
          Throwable cause = error.getCause();
          String came = cause instanceof Exception own ? "<-" + codeOf(own) : "";
          out.println("call connect unknown " + codeOf(error) + came);
        }
        isIdle.set(true);
        out.println("over");
      }
    }
  }

  /** Ends the program when nobody asks any more, whatever it waits for. */
  private static void read(Socket socket, BlockingQueue<String> asked, AtomicBoolean isIdle) {
    try {
      BufferedReader in =
          new BufferedReader(
              new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII));
      for (String line = in.readLine(); line != null; line = in.readLine()) asked.add(line);
    } catch (IOException error) {
      // Whoever asked has gone.
    }
    Runtime.getRuntime().halt(isIdle.get() ? 0 : 1);
  }

  private void run() throws Exception {
    call("sends", this::sends);
    call("listeners", this::listeners);
    call("settlements", this::settlements);
    call("transactions", this::transactions);
    call("large", this::large);
    call("request", this::request);
    call("subscription", this::subscription);
    call("browse", this::browse);
    call("blocked", this::blocked);
    call("close", connection::close);
  }

  private void sends() throws Exception {
    Session session = connection.createSession(Session.AUTO_ACKNOWLEDGE);
    MessageProducer producer = session.createProducer(queue(session, "work"));
    for (int number = 0; number < 4; number += 1) send(session, producer, "s" + number, true, "-");
    producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
    send(session, producer, "s4", false, "-");
    session.close();
  }

  /** Sends that a listener is told of. */
  private void listeners() throws Exception {
    Session session = connection.createSession(Session.AUTO_ACKNOWLEDGE);
    MessageProducer producer = session.createProducer(queue(session, "work"));
    if (setsIds) {
      // Without a window a listener is called before the broker has said a word.
      for (int number = 0; number < 4; number += 1) send(session, producer, "a" + number, true, "-");
      session.close();
      return;
    }
    List<String> lines = Collections.synchronizedList(new ArrayList<>());
    CountDownLatch rest = new CountDownLatch(4);
    for (int number = 0; number < 4; number += 1) {
      String text = "a" + number;
      CompletionListener listener =
          new CompletionListener() {
            @Override
            public void onCompletion(Message message) {
              lines.add("send " + text + " durable - applied");
              rest.countDown();
            }

            @Override
            public void onException(Message message, Exception error) {
              lines.add("send " + text + " durable - unknown");
              rest.countDown();
            }
          };
      producer.send(message(session, text), listener);
    }
    boolean isOver = rest.await(WAIT_MS, TimeUnit.MILLISECONDS);
    for (String line : List.copyOf(lines)) out.println(line);
    if (!isOver) throw new IOException("a listener was never called");
    session.close();
  }

  private void settlements() throws Exception {
    Session session =
        connection.createSession(false, ActiveMQJMSConstants.INDIVIDUAL_ACKNOWLEDGE);
    MessageConsumer consumer = session.createConsumer(queue(session, "work"));
    for (int count = 0; count < 3; count += 1) {
      Message message = receive(consumer);
      if (message != null) acknowledge(message);
    }
    // It goes back, and comes again.
    receive(consumer);
    session.recover();
    Message again = receive(consumer);
    if (again != null) acknowledge(again);
    session.close();
  }

  private void transactions() throws Exception {
    Session session = connection.createSession(true, Session.SESSION_TRANSACTED);
    MessageConsumer consumer = session.createConsumer(queue(session, "work"));
    MessageProducer producer = session.createProducer(queue(session, "out"));
    for (String name : List.of("a", "b", "c")) {
      Message message = receive(consumer);
      for (int number = 1; number < 3; number += 1) {
        send(session, producer, name + number + "t", true, name);
      }
      if (message != null) out.println("settlement " + textOf(message) + " " + name + " applied");
      if (name.equals("b")) call("rollback", session::rollback);
      else end(session, name);
    }
    session.close();
  }

  /** A message in parts, each way. */
  private void large() throws Exception {
    Session session =
        connection.createSession(false, ActiveMQJMSConstants.INDIVIDUAL_ACKNOWLEDGE);
    Queue queue = queue(session, "large");
    byte[] body = new byte[25_000];
    for (int index = 0; index < body.length; index += 1) body[index] = (byte) (index * 31);
    BytesMessage message = session.createBytesMessage();
    message.writeBytes(body);
    name(message, "l0");
    if (!sendAgain(session.createProducer(queue), message, "l0", true, "-")) {
      session.close();
      return;
    }
    BytesMessage found = (BytesMessage) receive(session.createConsumer(queue));
    if (found != null) {
      byte[] bytes = new byte[body.length];
      found.readBytes(bytes);
      if (!java.util.Arrays.equals(bytes, body)) throw new IOException("a large body is damaged");
      acknowledge(found);
    }
    session.close();
  }

  /** Asked and answered on one connection: the reply comes on a temporary queue. */
  private void request() throws Exception {
    Session session = connection.createSession(Session.AUTO_ACKNOWLEDGE);
    TemporaryQueue replies = session.createTemporaryQueue();
    MessageConsumer asked = session.createConsumer(queue(session, "asked"));
    MessageConsumer replied = session.createConsumer(replies);
    TextMessage question = session.createTextMessage("question");
    question.setJMSReplyTo(replies);
    session.createProducer(queue(session, "asked")).send(question);
    // What is attached again loses no queue.
    long replyMs = setsIds ? REPLY_MS : WAIT_MS;
    Message found = asked.receive(replyMs);
    if (found == null) throw new IOException("no question came");
    session.createProducer(found.getJMSReplyTo()).send(session.createTextMessage("reply"));
    if (replied.receive(replyMs) == null) throw new IOException("no reply came");
    session.close();
  }

  private void subscription() throws Exception {
    Session session =
        connection.createSession(false, ActiveMQJMSConstants.INDIVIDUAL_ACKNOWLEDGE);
    Topic topic = session.createTopic(prefix + "-topic");
    MessageConsumer consumer = session.createSharedDurableConsumer(topic, prefix + "-subscription");
    send(session, session.createProducer(topic), "p0", true, "-");
    Message message = receive(consumer);
    if (message != null) acknowledge(message);
    consumer.close();
    session.unsubscribe(prefix + "-subscription");
    session.close();
  }

  private void browse() throws Exception {
    Session session = connection.createSession(Session.AUTO_ACKNOWLEDGE);
    try (QueueBrowser browser = session.createBrowser(queue(session, "out"))) {
      var messages = browser.getEnumeration();
      while (messages.hasMoreElements()) messages.nextElement();
    }
    session.close();
  }

  /** Somebody waits before there is anything. */
  private void blocked() throws Exception {
    Session receiving = connection.createSession(false, ActiveMQJMSConstants.INDIVIDUAL_ACKNOWLEDGE);
    MessageConsumer consumer = receiving.createConsumer(queue(receiving, "late"));
    Exception[] failure = new Exception[1];
    Thread thread =
        new Thread(
            () -> {
              try {
                Message message = receive(consumer);
                if (message != null) acknowledge(message);
              } catch (Exception error) {
                failure[0] = error;
              }
            });
    thread.start();
    Session sending = connection.createSession(Session.AUTO_ACKNOWLEDGE);
    send(sending, sending.createProducer(queue(sending, "late")), "b0", true, "-");
    thread.join();
    sending.close();
    receiving.close();
    if (failure[0] != null) throw failure[0];
  }

  private Queue queue(Session session, String name) throws JMSException {
    return session.createQueue(prefix + "-" + name);
  }

  private TextMessage message(Session session, String text) throws JMSException {
    TextMessage message = session.createTextMessage(text);
    name(message, text);
    return message;
  }

  private void name(Message message, String text) throws JMSException {
    message.setStringProperty("name", text);
    if (setsIds) message.setStringProperty(DUPLICATE_ID, prefix + " " + text);
  }

  private void send(
      Session session, MessageProducer producer, String text, boolean isDurable, String transaction)
      throws Exception {
    sendAgain(producer, message(session, text), text, isDurable, transaction);
  }

  /** A message with an id is sent until nobody complains. Returns whether nobody does. */
  private boolean sendAgain(
      MessageProducer producer, Message message, String text, boolean isDurable, String transaction) {
    String what = text + " " + (isDurable ? "durable" : "fleeting") + " " + transaction;
    while (true) {
      try {
        producer.send(message);
        report("send " + what + " applied");
        return true;
      } catch (JMSException error) {
        if (setsIds && transaction.equals("-")) continue;
        report("send " + what + " unknown");
        report("call send unknown " + codeOf(error));
        return false;
      }
    }
  }

  private Message receive(MessageConsumer consumer) throws JMSException {
    Message message = consumer.receive(setsIds ? DOUBT_MS : WAIT_MS);
    if (message == null) report("call receive none nothing-came");
    else report("delivery " + textOf(message) + " " + message.getJMSRedelivered());
    return message;
  }

  private void acknowledge(Message message) throws JMSException {
    String text = textOf(message);
    try {
      message.acknowledge();
      report("settlement " + text + " - applied");
    } catch (JMSException error) {
      report("settlement " + text + " - unknown");
      report("call acknowledge unknown " + codeOf(error));
    }
  }

  private void end(Session session, String transaction) {
    try {
      session.commit();
      report("end " + transaction + " applied -");
    } catch (TransactionRolledBackException error) {
      report("end " + transaction + " none " + codeOf(error));
    } catch (JMSException error) {
      report("end " + transaction + " unknown " + codeOf(error));
    }
  }

  private void call(String name, Work work) {
    try {
      work.run();
    } catch (Exception error) {
      report("call " + name + " unknown " + codeOf(error));
    }
  }

  private synchronized void report(String line) {
    out.println(line);
  }

  private static String textOf(Message message) throws JMSException {
    return message.getStringProperty("name");
  }

  /** One word: what a program would look at first. */
  private static String codeOf(Exception error) {
    String code = error instanceof JMSException jms ? jms.getErrorCode() : null;
    String text = code == null ? String.valueOf(error.getMessage()) : code;
    return (error.getClass().getSimpleName() + ":" + text).replaceAll("[^!-~]+", "_");
  }

  private interface Work {
    void run() throws Exception;
  }
}
