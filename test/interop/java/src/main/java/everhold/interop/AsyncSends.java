package everhold.interop;

import jakarta.jms.CompletionListener;
import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Sends whose completion a listener is told of. */
final class AsyncSends {
  private static final String WINDOW = "confirmationWindowSize=100000";

  private AsyncSends() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("with a confirmation window every send completes, in order", scene -> all(scene, WINDOW))
        .add("without a confirmation window every send completes", scene -> all(scene, ""))
        .add("with a window of one byte every send completes", scene -> all(scene, "confirmationWindowSize=1"))
        .add("what has completed is there for others", AsyncSends::visible)
        .add("large messages complete", AsyncSends::large)
        .add("sends in a transaction complete, and wait for its commit", AsyncSends::transacted)
        .add("closing waits for the completions", AsyncSends::close)
        .add("a listener may send further messages", AsyncSends::chain)
        .add("a confirmation window changes nothing for other sends and acknowledgements", AsyncSends::others)
        .run();
  }

  /** Keeps what it is told. */
  private static final class Listener implements CompletionListener {
    final List<String> completed = Collections.synchronizedList(new ArrayList<>());
    final List<Exception> failures = Collections.synchronizedList(new ArrayList<>());
    final CountDownLatch rest;

    Listener(int count) {
      rest = new CountDownLatch(count);
    }

    @Override
    public void onCompletion(Message message) {
      completed.add(message instanceof TextMessage ? Delivery.textOf(message) : "");
      rest.countDown();
    }

    @Override
    public void onException(Message message, Exception error) {
      failures.add(error);
      rest.countDown();
    }

    void await() throws Exception {
      Check.that(rest.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), rest.getCount() + " never complete");
      Check.equal(List.of(), failures, "what failed");
    }
  }

  private static void all(Scene scene, String parameter) throws Exception {
    Session session = scene.session(parameter);
    Queue queue = scene.queue(session, "all");
    MessageProducer producer = session.createProducer(queue);
    int count = 500;
    Listener listener = new Listener(2 * count);
    List<String> expected = new ArrayList<>();
    for (int number = 0; number < count; number += 1) {
      for (int mode : new int[] {DeliveryMode.PERSISTENT, DeliveryMode.NON_PERSISTENT}) {
        String text = number + (mode == DeliveryMode.PERSISTENT ? " durable" : "");
        expected.add(text);
        producer.send(session.createTextMessage(text), mode, 4, 0, listener);
      }
    }
    listener.await();
    Check.equal(expected, listener.completed, "what completed, in this order");
    try (MessageConsumer consumer = session.createConsumer(queue)) {
      List<String> found = new ArrayList<>();
      for (int number = 0; number < 2 * count; number += 1) found.add(Scene.receiveText(consumer));
      Check.equal(expected, found, "what came, in this order");
      Scene.receiveNothing(consumer);
    }
  }

  private static void visible(Scene scene) throws Exception {
    Session session = scene.session(WINDOW);
    Queue queue = scene.queue(session, "visible");
    MessageProducer producer = session.createProducer(queue);
    MessageConsumer consumer = scene.session().createConsumer(queue);
    for (int number = 0; number < 50; number += 1) {
      Listener listener = new Listener(1);
      producer.send(session.createTextMessage(String.valueOf(number)), listener);
      listener.await();
      Check.equal(String.valueOf(number), ((TextMessage) consumer.receiveNoWait()).getText(), "it");
    }
  }

  private static void large(Scene scene) throws Exception {
    Session session = scene.session(WINDOW);
    Queue queue = scene.queue(session, "large");
    MessageProducer producer = session.createProducer(queue);
    Listener listener = new Listener(5);
    for (int number = 0; number < 5; number += 1) {
      producer.send(session.createTextMessage(String.valueOf(number).repeat(300_000)), listener);
    }
    listener.await();
    MessageConsumer consumer = session.createConsumer(queue);
    for (int number = 0; number < 5; number += 1) {
      Check.equal(String.valueOf(number).repeat(300_000), Scene.receiveText(consumer), "the text");
    }
  }

  private static void transacted(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED, WINDOW);
    Queue queue = scene.queue(session, "transacted");
    MessageProducer producer = session.createProducer(queue);
    Listener listener = new Listener(10);
    for (int number = 0; number < 10; number += 1) {
      producer.send(session.createTextMessage(String.valueOf(number)), listener);
    }
    MessageConsumer consumer = scene.session().createConsumer(queue);
    Scene.receiveNothing(consumer);
    session.commit();
    listener.await();
    Scene.receiveNumbers(consumer, 0, 10);
  }

  private static void close(Scene scene) throws Exception {
    Connection connection = scene.connect(WINDOW);
    Session session = connection.createSession();
    Queue queue = scene.queue(session, "close");
    MessageProducer producer = session.createProducer(queue);
    Listener listener = new Listener(200);
    for (int number = 0; number < 200; number += 1) {
      producer.send(session.createTextMessage(String.valueOf(number)), listener);
    }
    connection.close();
    listener.await();
    Scene.receiveNumbers(scene.session().createConsumer(queue), 0, 200);
  }

  private static void chain(Scene scene) throws Exception {
    Session session = scene.session(WINDOW);
    Session other = scene.session(WINDOW);
    Queue queue = scene.queue(session, "chain");
    MessageProducer producer = session.createProducer(queue);
    MessageProducer next = other.createProducer(queue);
    Listener last = new Listener(20);
    CompletionListener first =
        new CompletionListener() {
          @Override
          public void onCompletion(Message message) {
            try {
              next.send(other.createTextMessage(Delivery.textOf(message)), last);
            } catch (Exception error) {
              last.failures.add(error);
            }
          }

          @Override
          public void onException(Message message, Exception error) {
            last.failures.add(error);
          }
        };
    for (int number = 0; number < 20; number += 1) {
      producer.send(session.createTextMessage(String.valueOf(number)), first);
    }
    last.await();
    MessageConsumer consumer = session.createConsumer(queue);
    for (int count = 0; count < 40; count += 1) Scene.receive(consumer);
    Scene.receiveNothing(consumer);
  }

  private static void others(Scene scene) throws Exception {
    Connection connection = scene.connect("confirmationWindowSize=2000");
    Session session = connection.createSession(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "others");
    Scene.sendNumbers(session, queue, 0, 100);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 49);
    Scene.receive(consumer).acknowledge();
    Scene.receiveNumbers(consumer, 50, 20);
    session.recover();
    Scene.receiveNumbers(consumer, 50, 20);
    Session transacted = connection.createSession(Session.SESSION_TRANSACTED);
    Scene.sendNumbers(transacted, queue, 100, 100);
    transacted.rollback();
    Scene.sendNumbers(transacted, queue, 100, 100);
    transacted.commit();
    Scene.receiveNumbers(consumer, 70, 129);
    Scene.receive(consumer).acknowledge();
    connection.close();
    Scene.receiveNothing(scene.session().createConsumer(queue));
  }
}
