package everhold.interop;

import jakarta.jms.BytesMessage;
import jakarta.jms.CompletionListener;
import jakarta.jms.DeliveryMode;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * What a program sees whose connections break again and again, on a way that somebody cuts: with a
 * confirmation window, nothing. Each session goes on where it was. Large messages want a way that is cut
 * {@code rarely}: a client whose return breaks as well waits for its time-out, and no longer for their bodies.
 */
final class BrokenConnections {
  /** A client notices a second break, in the midst of its return, only by the time-out of its call. */
  private static final String[] RETURNING = {
    "confirmationWindowSize=3000",
    "consumerWindowSize=10000",
    "reconnectAttempts=-1",
    "retryInterval=20",
    "initialConnectAttempts=-1",
    "callTimeout=3000"
  };

  private BrokenConnections() {}

  public static void main(String[] args) {
    new Cases(args)
        .addWith("often", "transactions send and receive each message once, in order", BrokenConnections::transactions)
        .addWith("often", "acknowledged messages come once, in order", BrokenConnections::acknowledged)
        .addWith("often", "a receive that waits goes on", BrokenConnections::waiting)
        .addWith("often", "every send with a listener completes once, and is there", BrokenConnections::listeners)
        .addWith("rarely", "large messages come and go whole", BrokenConnections::large)
        .run();
  }

  private static void transactions(Scene scene) throws Exception {
    Session sender = scene.session(Session.SESSION_TRANSACTED, RETURNING);
    Session receiver = scene.session(Session.SESSION_TRANSACTED, RETURNING);
    Queue queue = scene.queue(sender, "transactions");
    MessageProducer producer = sender.createProducer(queue);
    MessageConsumer consumer = receiver.createConsumer(queue);
    int number = 0;
    for (int round = 0; round < 40; round += 1) {
      for (int index = 0; index < 10; index += 1) {
        producer.send(sender.createTextMessage(Integer.toString(number + index)));
      }
      sender.commit();
      for (int index = 0; index < 10; index += 1) {
        Check.equal(Integer.toString(number + index), Scene.receiveText(consumer), "what came");
      }
      if (round % 5 == 4) {
        receiver.rollback();
        for (int index = 0; index < 10; index += 1) {
          Check.equal(Integer.toString(number + index), Scene.receiveText(consumer), "what came again");
        }
      }
      receiver.commit();
      number += 10;
    }
    Scene.receiveNothing(consumer);
  }

  private static void acknowledged(Scene scene) throws Exception {
    Session session = scene.session(Session.CLIENT_ACKNOWLEDGE, RETURNING);
    Queue queue = scene.queue(session, "acknowledged");
    MessageProducer producer = session.createProducer(queue);
    int count = 600;
    for (int number = 0; number < count; number += 1) {
      producer.send(session.createTextMessage(Integer.toString(number)));
    }
    try (MessageConsumer consumer = session.createConsumer(queue)) {
      for (int number = 0; number < count; number += 1) {
        Message message = consumer.receive(Scene.WAIT_MS);
        Check.that(message != null, "message " + number + " never came");
        Check.equal(Integer.toString(number), Delivery.textOf(message), "what came");
        Check.that(!message.getJMSRedelivered(), "message " + number + " came again");
        if (number % 7 == 0) message.acknowledge();
      }
      Scene.receiveNothing(consumer);
    }
  }

  private static void waiting(Scene scene) throws Exception {
    Session sender = scene.session(RETURNING);
    Session receiver = scene.session(RETURNING);
    Queue queue = scene.queue(sender, "waiting");
    List<String> found = Collections.synchronizedList(new ArrayList<>());
    MessageConsumer consumer = receiver.createConsumer(queue);
    Thread thread =
        new Thread(
            () -> {
              try {
                for (int number = 0; number < 200; number += 1) found.add(Scene.receiveText(consumer));
              } catch (Exception error) {
                found.add(error.toString());
              }
            });
    thread.start();
    MessageProducer producer = sender.createProducer(queue);
    List<String> sent = new ArrayList<>();
    for (int number = 0; number < 200; number += 1) {
      sent.add(Integer.toString(number));
      producer.send(sender.createTextMessage(Integer.toString(number)));
    }
    thread.join(Scene.WAIT_MS);
    Check.equal(sent, found, "what came");
  }

  private static void listeners(Scene scene) throws Exception {
    Session session = scene.session(RETURNING);
    Queue queue = scene.queue(session, "listeners");
    MessageProducer producer = session.createProducer(queue);
    int count = 1000;
    List<String> completed = Collections.synchronizedList(new ArrayList<>());
    CountDownLatch rest = new CountDownLatch(count);
    CompletionListener listener =
        new CompletionListener() {
          @Override
          public void onCompletion(Message message) {
            completed.add(Delivery.textOf(message));
            rest.countDown();
          }

          @Override
          public void onException(Message message, Exception error) {
            completed.add(error.toString());
            rest.countDown();
          }
        };
    List<String> sent = new ArrayList<>();
    for (int number = 0; number < count; number += 1) {
      sent.add(Integer.toString(number));
      producer.send(
          session.createTextMessage(Integer.toString(number)), DeliveryMode.PERSISTENT, 4, 0, listener);
    }
    Check.that(rest.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), rest.getCount() + " never complete");
    Check.equal(sent, completed, "what completed");
    try (MessageConsumer consumer = session.createConsumer(queue)) {
      List<String> found = new ArrayList<>();
      for (int number = 0; number < count; number += 1) found.add(Scene.receiveText(consumer));
      Check.equal(sent, found, "what came");
      Scene.receiveNothing(consumer);
    }
  }

  private static void large(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED, RETURNING);
    Queue queue = scene.queue(session, "large");
    MessageProducer producer = session.createProducer(queue);
    MessageConsumer consumer = session.createConsumer(queue);
    byte[] body = new byte[350_000];
    for (int number = 0; number < 8; number += 1) {
      for (int index = 0; index < body.length; index += 1) body[index] = (byte) (index * 31 + number);
      BytesMessage message = session.createBytesMessage();
      message.writeBytes(body);
      producer.send(message);
      session.commit();
      BytesMessage found = (BytesMessage) consumer.receive(Scene.WAIT_MS);
      Check.that(found != null, "message " + number + " never came");
      Check.equal((long) body.length, found.getBodyLength(), "bytes of message " + number);
      byte[] bytes = new byte[body.length];
      found.readBytes(bytes);
      Check.that(java.util.Arrays.equals(body, bytes), "message " + number + " has other bytes");
      session.commit();
    }
  }
}
