package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.Destination;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** From a producer to consumers: queues, topics, order, listeners, and every way to receive. */
final class Delivery {
  private Delivery() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("a queue gives its messages in the order in which they were sent", Delivery::order)
        .add("durable and other messages of one producer stay in order", Delivery::mixedOrder)
        .add("each message of a queue goes to one consumer", Delivery::sharedQueue)
        .add("each subscriber of a topic gets every message from its start on", Delivery::topic)
        .add("a message waits for its consumer", Delivery::waits)
        .add("receive with a time limit ends when it is over or a message comes", Delivery::limited)
        .add("receive without a time limit waits for a message", Delivery::unlimited)
        .add("receiveNoWait gives what is there and never waits", Delivery::noWait)
        .add("a consumer without window gets one message for each receive", Delivery::zeroWindow)
        .add("a listener without window gets every message in order", Delivery::zeroWindowListener)
        .add("windows of one byte and without bound give everything in order", Delivery::otherWindows)
        .add("a slow consumer's window is all that it keeps from others", Delivery::smallWindow)
        .add("listeners of several sessions share a queue", Delivery::listeners)
        .add("several listeners of one session get their own queues' messages", Delivery::oneSession)
        .add("one producer sends to many destinations", Delivery::anonymousProducer)
        .add("a producer with a small window sends everything", Delivery::producerWindow)
        .add("nothing is delivered while the connection is stopped", Delivery::stopped)
        .add("a queue is consumed by its fully qualified name", Delivery::qualifiedName)
        .run();
  }

  private static void order(Scene scene) throws Exception {
    Session transacted = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(transacted, "order");
    for (int batch = 0; batch < 4; batch += 1) {
      Scene.sendNumbers(transacted, queue, batch * 500, 500);
      transacted.commit();
    }
    try (MessageConsumer consumer = scene.session().createConsumer(queue)) {
      Scene.receiveNumbers(consumer, 0, 2_000);
      Scene.receiveNothing(consumer);
    }
  }

  private static void mixedOrder(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "mixed");
    try (MessageProducer producer = session.createProducer(queue)) {
      for (int number = 0; number < 40; number += 1) {
        int mode = number % 3 == 0 ? DeliveryMode.PERSISTENT : DeliveryMode.NON_PERSISTENT;
        producer.setDeliveryMode(mode);
        producer.send(session.createTextMessage(String.valueOf(number)));
      }
    }
    try (MessageConsumer consumer = session.createConsumer(queue)) {
      Scene.receiveNumbers(consumer, 0, 40);
    }
  }

  private static void sharedQueue(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "shared");
    // A small window, so that the first consumer does not take everything beforehand.
    List<MessageConsumer> consumers = new ArrayList<>();
    for (int index = 0; index < 3; index += 1) {
      consumers.add(scene.session("consumerWindowSize=0").createConsumer(queue));
    }
    Scene.sendNumbers(session, queue, 0, 30);
    List<String> received = new ArrayList<>();
    for (int round = 0; round < 10; round += 1) {
      for (MessageConsumer consumer : consumers) received.add(Scene.receiveText(consumer));
    }
    for (MessageConsumer consumer : consumers) Scene.receiveNothing(consumer);
    for (int number = 0; number < 30; number += 1) {
      Check.equal(String.valueOf(number), received.get(number), "message " + number);
    }
  }

  private static void topic(Scene scene) throws Exception {
    Session session = scene.session();
    Topic topic = scene.topic(session, "topic");
    Scene.sendNumbers(session, topic, -5, 5);
    MessageConsumer first = scene.session().createConsumer(topic);
    MessageConsumer second = session.createConsumer(topic);
    Scene.sendNumbers(session, topic, 0, 10);
    MessageConsumer third = session.createConsumer(topic);
    Scene.sendNumbers(session, topic, 10, 10);
    Scene.receiveNumbers(first, 0, 20);
    Scene.receiveNumbers(second, 0, 20);
    Scene.receiveNumbers(third, 10, 10);
    for (MessageConsumer each : List.of(first, second, third)) Scene.receiveNothing(each);
  }

  private static void waits(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession();
    Queue queue = scene.queue(session, "waits");
    Scene.sendNumbers(session, queue, 0, 3);
    connection.close();
    Scene.receiveNumbers(scene.session().createConsumer(queue), 0, 3);
  }

  private static void limited(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "limited");
    MessageConsumer consumer = session.createConsumer(queue);
    long startedNs = System.nanoTime();
    Check.equal(null, consumer.receive(300), "the message of an empty queue");
    long tookMs = (System.nanoTime() - startedNs) / 1_000_000;
    Check.that(tookMs >= 295, "receive(300) ended after " + tookMs + " ms");
    Thread sender = sendLater(scene, queue);
    Check.equal("0", Scene.receiveText(consumer), "the message that came while receive waited");
    sender.join();
    Check.equal(null, consumer.receive(1), "the message after the last one");
  }

  private static void unlimited(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "unlimited");
    MessageConsumer consumer = session.createConsumer(queue);
    Thread sender = sendLater(scene, queue);
    Check.equal("0", ((TextMessage) consumer.receive()).getText(), "the first message");
    sender.join();
    Scene.sendNumbers(session, queue, 1, 1);
    Check.equal("1", ((TextMessage) consumer.receive(0)).getText(), "that of receive(0)");
  }

  private static Thread sendLater(Scene scene, Destination to) throws JMSException {
    Session session = scene.session();
    Thread thread =
        new Thread(
            () -> {
              try {
                Thread.sleep(Scene.QUIET_MS);
                Scene.sendNumbers(session, to, 0, 1);
              } catch (JMSException | InterruptedException error) {
                throw new IllegalStateException(error);
              }
            });
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  private static void noWait(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "noWait");
    MessageConsumer consumer = session.createConsumer(queue);
    for (int round = 0; round < 20; round += 1) {
      Check.equal(null, consumer.receiveNoWait(), "the message of an empty queue");
      Scene.sendNumbers(session, queue, round, 1);
      TextMessage message = (TextMessage) consumer.receiveNoWait();
      Check.that(message != null, "receiveNoWait found no message after a durable send");
      Check.equal(String.valueOf(round), message.getText(), "the message");
    }
    Scene.sendNumbers(session, queue, 0, 100);
    for (int number = 0; number < 100; number += 1) {
      TextMessage message = (TextMessage) consumer.receiveNoWait();
      Check.that(message != null, "receiveNoWait found no message " + number);
      Check.equal(String.valueOf(number), message.getText(), "the message");
    }
    Check.equal(null, consumer.receiveNoWait(), "the message of the emptied queue");
  }

  private static void zeroWindow(Scene scene) throws Exception {
    Session session = scene.session("consumerWindowSize=0");
    Queue queue = scene.queue(session, "zero");
    Scene.sendNumbers(session, queue, 0, 12);
    MessageConsumer slow = session.createConsumer(queue);
    Check.equal("0", Scene.receiveText(slow), "the first message");
    Check.equal("1", ((TextMessage) slow.receive()).getText(), "that of receive()");
    Check.equal("2", ((TextMessage) slow.receiveNoWait()).getText(), "that of receiveNoWait()");
    // What the slow consumer has not asked for is there for others.
    MessageConsumer other = scene.session().createConsumer(queue);
    Scene.receiveNumbers(other, 3, 9);
    other.close();
    Check.equal(null, slow.receiveNoWait(), "the message of the emptied queue");
    Check.equal(null, slow.receive(50), "the message of the emptied queue");
    // A receive that ended without one leaves no credit behind.
    Scene.sendNumbers(session, queue, 12, 1);
    MessageConsumer next = scene.session().createConsumer(queue);
    Scene.receiveNumbers(next, 12, 1);
    next.close();
    Scene.sendNumbers(session, queue, 13, 1);
    Scene.receiveNumbers(slow, 13, 1);
  }

  private static void zeroWindowListener(Scene scene) throws Exception {
    Session session = scene.session("consumerWindowSize=0");
    Queue queue = scene.queue(session, "zero-listener");
    Scene.sendNumbers(session, queue, 0, 20);
    BlockingQueue<Message> received = new LinkedBlockingQueue<>();
    scene.session("consumerWindowSize=0").createConsumer(queue).setMessageListener(received::add);
    Scene.sendNumbers(session, queue, 20, 20);
    takeNumbers(received, 0, 40);
  }

  private static void otherWindows(Scene scene) throws Exception {
    for (String window : List.of("1", "-1", "1000")) {
      Session session = scene.session("consumerWindowSize=" + window);
      Queue queue = scene.queue(session, "window" + window);
      Scene.sendNumbers(session, queue, 0, 100);
      try (MessageConsumer consumer = session.createConsumer(queue)) {
        Scene.receiveNumbers(consumer, 0, 100);
        Scene.receiveNothing(consumer);
      }
    }
  }

  private static void smallWindow(Scene scene) throws Exception {
    Session session = scene.session("consumerWindowSize=2000");
    Queue queue = scene.queue(session, "small");
    MessageConsumer slow = session.createConsumer(queue);
    Scene.sendNumbers(session, queue, 0, 200);
    MessageConsumer other = scene.session().createConsumer(queue);
    int taken = 0;
    while (other.receiveNoWait() != null) taken += 1;
    // A message takes some 200 bytes on the wire: the window holds about ten, and one for good measure.
    Check.that(taken > 180 && taken < 200, "the other consumer got " + taken + " of 200");
    other.close();
    Scene.receiveNumbers(slow, 0, 200 - taken);
    Scene.receiveNothing(slow);
  }

  private static void listeners(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "listeners");
    int count = 300;
    CountDownLatch all = new CountDownLatch(count);
    Set<String> received = ConcurrentHashMap.newKeySet();
    List<String> twice = Collections.synchronizedList(new ArrayList<>());
    Connection connection = scene.connect();
    for (int index = 0; index < 5; index += 1) {
      connection
          .createSession()
          .createConsumer(queue)
          .setMessageListener(
              message -> {
                if (!received.add(textOf(message))) twice.add(textOf(message));
                all.countDown();
              });
    }
    Scene.sendNumbers(session, queue, 0, count);
    Check.that(all.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), all.getCount() + " never came");
    Check.equal(List.of(), twice, "what came twice");
    Check.equal(count, received.size(), "the count of messages");
  }

  private static void oneSession(Scene scene) throws Exception {
    Session sending = scene.session();
    Session session = scene.session();
    List<BlockingQueue<Message>> received = new ArrayList<>();
    List<Queue> queues = new ArrayList<>();
    Set<Thread> threads = ConcurrentHashMap.newKeySet();
    for (int index = 0; index < 4; index += 1) {
      BlockingQueue<Message> mine = new LinkedBlockingQueue<>();
      received.add(mine);
      queues.add(scene.queue(session, "own" + index));
      session
          .createConsumer(queues.get(index))
          .setMessageListener(
              message -> {
                threads.add(Thread.currentThread());
                mine.add(message);
              });
    }
    for (int index = 0; index < 4; index += 1) {
      Scene.sendNumbers(sending, queues.get(index), index * 100, 25);
    }
    for (int index = 0; index < 4; index += 1) takeNumbers(received.get(index), index * 100, 25);
  }

  private static void anonymousProducer(Scene scene) throws Exception {
    Session session = scene.session();
    MessageProducer producer = session.createProducer(null);
    Topic topic = scene.topic(session, "to");
    MessageConsumer subscriber = session.createConsumer(topic);
    for (int index = 0; index < 20; index += 1) {
      Queue queue = scene.queue(session, "to" + index);
      producer.send(queue, session.createTextMessage(String.valueOf(index)));
      producer.send(topic, session.createTextMessage(String.valueOf(index)));
    }
    for (int index = 0; index < 20; index += 1) {
      try (MessageConsumer consumer = session.createConsumer(scene.queue(session, "to" + index))) {
        Scene.receiveNumbers(consumer, index, 1);
      }
    }
    Scene.receiveNumbers(subscriber, 0, 20);
    Check.fails(
        UnsupportedOperationException.class,
        "a send without destination",
        () -> producer.send(session.createMessage()));
  }

  private static void producerWindow(Scene scene) throws Exception {
    for (String parameter : List.of("producerWindowSize=1000", "producerWindowSize=-1")) {
      Session session = scene.session(parameter);
      Queue queue = scene.queue(session, parameter.replace('=', '-'));
      try (MessageProducer producer = session.createProducer(queue)) {
        producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
        for (int number = 0; number < 200; number += 1) {
          TextMessage message = session.createTextMessage(String.valueOf(number));
          message.setStringProperty("filler", "x".repeat(number * 20));
          producer.send(message);
        }
      }
      try (MessageConsumer consumer = session.createConsumer(queue)) {
        Scene.receiveNumbers(consumer, 0, 200);
      }
    }
  }

  private static void stopped(Scene scene) throws Exception {
    Session sending = scene.session();
    Connection connection = scene.connectStopped();
    Session session = connection.createSession();
    Queue queue = scene.queue(session, "stopped");
    Scene.sendNumbers(sending, queue, 0, 2);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNothing(consumer);
    connection.start();
    Scene.receiveNumbers(consumer, 0, 2);
    connection.stop();
    Scene.sendNumbers(sending, queue, 2, 2);
    Scene.receiveNothing(consumer);
    connection.start();
    Scene.receiveNumbers(consumer, 2, 2);

    Set<String> heard = new TreeSet<>();
    CountDownLatch all = new CountDownLatch(2);
    connection.stop();
    consumer.setMessageListener(
        message -> {
          heard.add(textOf(message));
          all.countDown();
        });
    Scene.sendNumbers(sending, queue, 4, 2);
    Thread.sleep(Scene.QUIET_MS);
    Check.equal(0, heard.size(), "the count of messages that a stopped listener heard");
    connection.start();
    Check.that(all.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "the listener heard " + heard);
  }

  private static void qualifiedName(Scene scene) throws Exception {
    Session session = scene.session();
    Topic topic = scene.topic(session, "address");
    String name = scene.name("address") + "::" + scene.name("named");
    MessageConsumer consumer = session.createConsumer(session.createTopic(name));
    Scene.sendNumbers(session, topic, 0, 5);
    Scene.receiveNumbers(consumer, 0, 5);
    Queue queue = session.createQueue(scene.name("any") + "::" + scene.name("queue"));
    MessageConsumer ofQueue = session.createConsumer(queue);
    Scene.sendNumbers(session, session.createQueue(scene.name("any")), 0, 5);
    Scene.receiveNumbers(ofQueue, 0, 5);
  }

  /** Takes numbers that a listener put aside, in order, and fails when one is missing. */
  static void takeNumbers(BlockingQueue<Message> received, int first, int count) throws Exception {
    for (int number = first; number < first + count; number += 1) {
      Message message = received.poll(Scene.WAIT_MS, TimeUnit.MILLISECONDS);
      Check.that(message != null, "message " + number + " never came");
      Check.equal(String.valueOf(number), textOf(message), "the next message");
    }
    Check.equal(null, received.poll(), "what came besides");
  }

  /** The text of a message in a listener, which may not throw. */
  static String textOf(Message message) {
    try {
      return ((TextMessage) message).getText();
    } catch (JMSException error) {
      throw new IllegalStateException(error);
    }
  }
}
