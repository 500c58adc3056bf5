package everhold.interop;

import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.QueueBrowser;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Messages that are delivered at a later time. */
final class Delays {
  private static final long DELAY_MS = 400;

  private Delays() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("a delayed message comes at its time and never before", Delays::delayed)
        .add("the delivery time is carried", Delays::carried)
        .add("others pass a delayed message", Delays::passed)
        .add("messages come in the order of their times", Delays::order)
        .add("messages of one time come in the order in which they were sent", Delays::sameTime)
        .add("a topic's subscribers get a delayed message at its time", Delays::topic)
        .add("a delay in a transaction counts from the send", Delays::transacted)
        .add("a selector chooses among delayed messages", Delays::selected)
        .add("a browser does not see a message before its time", Delays::browsed)
        .add("a delayed message that is rolled back comes again at once", Delays::rolledBack)
        .add("a delayed message waits while nobody consumes", Delays::alone)
        .run();
  }

  /** Asks for a message again and again until it comes, and fails when it is early. */
  private static void receiveDue(MessageConsumer consumer, String text) throws Exception {
    TextMessage message = null;
    long deadline = System.currentTimeMillis() + Scene.WAIT_MS;
    for (int attempt = 0; message == null; attempt += 1) {
      Check.that(System.currentTimeMillis() < deadline, "message " + text + " never came");
      message = (TextMessage) (attempt % 2 == 0 ? consumer.receiveNoWait() : consumer.receive(DELAY_MS / 4));
    }
    long now = System.currentTimeMillis();
    Check.equal(text, message.getText(), "the next message");
    long early = message.getJMSDeliveryTime() - now;
    Check.that(early <= 0, "message " + text + " came " + early + " ms early");
  }

  private static void delayed(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "delayed");
    MessageProducer producer = session.createProducer(queue);
    producer.setDeliveryDelay(DELAY_MS);
    Check.equal(DELAY_MS, producer.getDeliveryDelay(), "the producer's delay");
    MessageConsumer consumer = session.createConsumer(queue);
    for (int mode = 1; mode <= 2; mode += 1) {
      producer.setDeliveryMode(mode);
      producer.send(session.createTextMessage("late"));
      receiveDue(consumer, "late");
      Scene.receiveNothing(consumer);
    }
  }

  private static void carried(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "carried");
    MessageProducer producer = session.createProducer(queue);
    MessageConsumer consumer = session.createConsumer(queue);
    for (long delayMs : new long[] {0, DELAY_MS}) {
      producer.setDeliveryDelay(delayMs);
      Message sent = session.createTextMessage("text");
      long before = System.currentTimeMillis();
      producer.send(sent);
      long after = System.currentTimeMillis();
      Message found = Scene.receive(consumer);
      Check.equal(sent.getJMSDeliveryTime(), found.getJMSDeliveryTime(), "the delivery time");
      if (delayMs == 0) continue;
      long due = found.getJMSDeliveryTime();
      Check.that(due >= before + delayMs && due <= after + delayMs, "the delivery time is " + due);
    }
  }

  private static void passed(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "passed");
    MessageProducer producer = session.createProducer(queue);
    producer.setDeliveryDelay(86_400_000);
    producer.send(session.createTextMessage("tomorrow"));
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.sendNumbers(session, queue, 0, 10);
    Scene.receiveNumbers(consumer, 0, 10);
    producer.setDeliveryDelay(DELAY_MS);
    producer.send(session.createTextMessage("late"));
    receiveDue(consumer, "late");
  }

  private static void order(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "order");
    MessageProducer producer = session.createProducer(queue);
    // All are sent before the first is due, and none is so late that it is due with the next.
    long start = System.currentTimeMillis() + 5 * DELAY_MS;
    int[] steps = {5, 1, 4, 2, 3};
    for (int step : steps) {
      TextMessage message = session.createTextMessage(String.valueOf(step));
      message.setLongProperty("_AMQ_SCHED_DELIVERY", start + step * DELAY_MS);
      producer.send(message);
    }
    MessageConsumer consumer = session.createConsumer(queue);
    for (int step = 1; step <= 5; step += 1) receiveDue(consumer, String.valueOf(step));
  }

  private static void sameTime(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "same");
    MessageProducer producer = session.createProducer(queue);
    long due = System.currentTimeMillis() + 2 * DELAY_MS;
    for (int number = 0; number < 100; number += 1) {
      TextMessage message = session.createTextMessage(String.valueOf(number));
      message.setLongProperty("_AMQ_SCHED_DELIVERY", due);
      producer.send(message);
    }
    session.commit();
    MessageConsumer consumer = scene.session().createConsumer(queue);
    for (int number = 0; number < 100; number += 1) receiveDue(consumer, String.valueOf(number));
    Check.that(System.currentTimeMillis() >= due, "they came early");
  }

  private static void topic(Scene scene) throws Exception {
    Session session = scene.session();
    Topic topic = scene.topic(session, "topic");
    List<MessageConsumer> consumers = new ArrayList<>();
    for (int index = 0; index < 3; index += 1) consumers.add(session.createConsumer(topic));
    MessageProducer producer = session.createProducer(topic);
    producer.setDeliveryDelay(DELAY_MS);
    producer.send(session.createTextMessage("late"));
    for (MessageConsumer consumer : consumers) receiveDue(consumer, "late");
  }

  private static void transacted(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "transacted");
    MessageConsumer consumer = scene.session().createConsumer(queue);
    MessageProducer producer = session.createProducer(queue);
    producer.setDeliveryDelay(DELAY_MS);
    producer.send(session.createTextMessage("dropped"));
    session.rollback();
    producer.send(session.createTextMessage("late"));
    session.commit();
    receiveDue(consumer, "late");
    // Its time is over when the transaction commits.
    producer.setDeliveryDelay(1);
    producer.send(session.createTextMessage("over"));
    Scene.receiveNothing(consumer);
    session.commit();
    receiveDue(consumer, "over");
    Scene.receiveNothing(consumer);
  }

  private static void selected(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "selected");
    MessageConsumer even = session.createConsumer(queue, "number = 2 OR number = 4");
    MessageProducer producer = session.createProducer(queue);
    producer.setDeliveryDelay(DELAY_MS);
    for (int number = 1; number <= 4; number += 1) {
      TextMessage message = session.createTextMessage(String.valueOf(number));
      message.setIntProperty("number", number);
      producer.send(message);
    }
    receiveDue(even, "2");
    receiveDue(even, "4");
    Scene.receiveNothing(even);
    // Artemis puts what has become due in front of what was due before.
    MessageConsumer rest = session.createConsumer(queue);
    Set<String> found = Set.of(Scene.receiveText(rest), Scene.receiveText(rest));
    Check.equal(Set.of("1", "3"), found, "the others");
  }

  private static void browsed(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "browsed");
    MessageProducer producer = session.createProducer(queue);
    producer.setDeliveryDelay(DELAY_MS);
    TextMessage message = session.createTextMessage("late");
    producer.send(message);
    QueueBrowser browser = session.createBrowser(queue);
    boolean isSeen = browser.getEnumeration().hasMoreElements();
    boolean isEarly = System.currentTimeMillis() < message.getJMSDeliveryTime();
    Check.that(!(isSeen && isEarly), "the browser sees a message before its time");
    Thread.sleep(2 * DELAY_MS);
    Check.equal(true, browser.getEnumeration().hasMoreElements(), "whether it sees it later");
  }

  private static void rolledBack(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "back");
    MessageProducer producer = session.createProducer(queue);
    producer.setDeliveryDelay(DELAY_MS);
    producer.send(session.createTextMessage("late"));
    session.commit();
    MessageConsumer consumer = session.createConsumer(queue);
    receiveDue(consumer, "late");
    session.rollback();
    Message again = Scene.receive(consumer);
    Check.equal(true, again.getJMSRedelivered(), "redelivered");
    Check.equal(2, again.getIntProperty("JMSXDeliveryCount"), "the delivery count");
    session.commit();
  }

  private static void alone(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "alone");
    MessageProducer producer = session.createProducer(queue);
    producer.setDeliveryDelay(DELAY_MS);
    producer.send(session.createTextMessage("late"));
    session.close();
    Thread.sleep(2 * DELAY_MS);
    MessageConsumer consumer = scene.session().createConsumer(queue);
    Message found = Scene.receive(consumer);
    Check.equal(false, found.getJMSRedelivered(), "redelivered");
    Check.equal(1, found.getIntProperty("JMSXDeliveryCount"), "the delivery count");
  }
}
