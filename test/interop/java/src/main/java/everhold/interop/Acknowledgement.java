package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.activemq.artemis.api.jms.ActiveMQJMSConstants;

/** Every mode of acknowledgement, what comes again and how it is marked, and the way to the dead letters. */
final class Acknowledgement {
  private static final int INDIVIDUAL = ActiveMQJMSConstants.INDIVIDUAL_ACKNOWLEDGE;
  private static final int PRE = ActiveMQJMSConstants.PRE_ACKNOWLEDGE;

  private Acknowledgement() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("auto: what was received never comes again", Acknowledgement::auto)
        .add("auto: what a listener fails with comes again, marked", Acknowledgement::autoListener)
        .add("auto: what waits in the client's window comes again, not marked", Acknowledgement::prefetched)
        .add("client: one acknowledgement covers all that the session received", Acknowledgement::client)
        .add("client: what was not acknowledged comes again, marked and in order", Acknowledgement::clientClose)
        .add("client: an acknowledgement of one consumer covers the session's others", Acknowledgement::clientTwo)
        .add("dups-ok: what was received never comes again after an orderly close", Acknowledgement::dupsOk)
        .add("individual: an acknowledgement covers one message", Acknowledgement::individual)
        .add("individual: a listener acknowledges every second message", Acknowledgement::individualListener)
        .add("pre-acknowledged: what was delivered never comes again", Acknowledgement::pre)
        .add("blocking acknowledgements are answered", Acknowledgement::blocking)
        .add("recover gives what was not acknowledged again, in order and marked", Acknowledgement::recover)
        .add("the delivery count grows with every rollback", Acknowledgement::deliveryCount)
        .add("after ten attempts a message is a dead letter", Acknowledgement::deadLetter)
        .add("after ten failures of a listener a message is a dead letter", Acknowledgement::deadLetterOfListener)
        .add("a dead letter holds up nobody behind it", Acknowledgement::poison)
        .run();
  }

  private static void auto(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(Session.AUTO_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "auto");
    Scene.sendNumbers(session, queue, 0, 3);
    MessageConsumer consumer = session.createConsumer(queue);
    Message first = Scene.receive(consumer);
    Check.equal(false, first.getJMSRedelivered(), "the redelivered flag of the first delivery");
    Check.equal(1, first.getIntProperty("JMSXDeliveryCount"), "the count of the first delivery");
    Scene.receiveNumbers(consumer, 1, 1);
    connection.close();
    expectRest(scene, queue, "2");
  }

  private static void autoListener(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "listener");
    Scene.sendNumbers(session, queue, 0, 3);
    List<String> seen = new ArrayList<>();
    CountDownLatch all = new CountDownLatch(5);
    session
        .createConsumer(queue)
        .setMessageListener(
            message -> {
              seen.add(describe(message));
              all.countDown();
              boolean isThird = seen.size() == 3;
              if (seen.size() == 1 || isThird) throw new IllegalStateException("on purpose");
            });
    Check.that(all.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "the listener saw " + seen);
    Thread.sleep(Scene.QUIET_MS);
    Check.equal(
        List.of("0 new 1", "0 again 2", "1 new 1", "1 again 2", "2 new 1"), seen, "what it saw");
  }

  private static void prefetched(Scene scene) throws Exception {
    Session sending = scene.session();
    Queue queue = scene.queue(sending, "prefetched");
    Scene.sendNumbers(sending, queue, 0, 10);
    Connection connection = scene.connect();
    MessageConsumer consumer = connection.createSession().createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 3);
    connection.close();
    MessageConsumer next = scene.session().createConsumer(queue);
    for (int number = 3; number < 10; number += 1) {
      Check.equal(number + " new 1", describe(Scene.receive(next)), "what was only prefetched");
    }
  }

  private static void client(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "client");
    Scene.sendNumbers(session, queue, 0, 5);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 2);
    Message third = Scene.receive(consumer);
    third.acknowledge();
    connection.close();
    expectRest(scene, queue, "3", "4");
  }

  private static void clientClose(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "close");
    Scene.sendNumbers(session, queue, 0, 4);
    Scene.receiveNumbers(session.createConsumer(queue), 0, 2);
    connection.close();
    MessageConsumer next = scene.session().createConsumer(queue);
    Check.equal("0 again 2", describe(Scene.receive(next)), "the first message");
    Check.equal("1 again 2", describe(Scene.receive(next)), "the second message");
    Check.equal("2 new 1", describe(Scene.receive(next)), "the third message");
    Check.equal("3 new 1", describe(Scene.receive(next)), "the fourth message");
  }

  private static void clientTwo(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(Session.CLIENT_ACKNOWLEDGE);
    Queue first = scene.queue(session, "first");
    Queue second = scene.queue(session, "second");
    Scene.sendNumbers(session, first, 0, 2);
    Scene.sendNumbers(session, second, 10, 2);
    Scene.receiveNumbers(session.createConsumer(first), 0, 1);
    Scene.receive(session.createConsumer(second)).acknowledge();
    connection.close();
    expectRest(scene, first, "1");
    expectRest(scene, second, "11");
  }

  private static void dupsOk(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(Session.DUPS_OK_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "dupsOk");
    Scene.sendNumbers(session, queue, 0, 50);
    Scene.receiveNumbers(session.createConsumer(queue), 0, 48);
    connection.close();
    expectRest(scene, queue, "48", "49");
  }

  private static void individual(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(INDIVIDUAL);
    Queue queue = scene.queue(session, "individual");
    Scene.sendNumbers(session, queue, 0, 6);
    MessageConsumer consumer = session.createConsumer(queue);
    List<Message> received = new ArrayList<>();
    for (int number = 0; number < 5; number += 1) received.add(Scene.receive(consumer));
    received.get(3).acknowledge();
    received.get(1).acknowledge();
    connection.close();
    expectRest(scene, queue, "0", "2", "4", "5");
  }

  private static void individualListener(Scene scene) throws Exception {
    Session sending = scene.session();
    Queue queue = scene.queue(sending, "individual-listener");
    Connection connection = scene.connect();
    BlockingQueue<String> seen = new LinkedBlockingQueue<>();
    connection
        .createSession(INDIVIDUAL)
        .createConsumer(queue)
        .setMessageListener(
            message -> {
              try {
                String text = ((TextMessage) message).getText();
                if (Integer.parseInt(text) % 2 == 1) message.acknowledge();
                seen.add(text);
              } catch (Exception error) {
                seen.add(error.toString());
              }
            });
    Scene.sendNumbers(sending, queue, 0, 8);
    for (int number = 0; number < 8; number += 1) {
      String text = seen.poll(Scene.WAIT_MS, TimeUnit.MILLISECONDS);
      Check.equal(String.valueOf(number), text, "what the listener saw");
    }
    connection.close();
    expectRest(scene, queue, "0", "2", "4", "6");
  }

  private static void pre(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(PRE);
    Queue queue = scene.queue(session, "pre");
    Scene.sendNumbers(scene.session(), queue, 0, 10);
    Scene.receiveNumbers(session.createConsumer(queue), 0, 3);
    connection.close();
    // All ten were delivered, though three were received: they were acknowledged before.
    expectRest(scene, queue);
  }

  private static void blocking(Scene scene) throws Exception {
    Connection connection = scene.connect("blockOnAcknowledge=true");
    Session auto = connection.createSession(Session.AUTO_ACKNOWLEDGE);
    Queue queue = scene.queue(auto, "blocking");
    Scene.sendNumbers(auto, queue, 0, 10);
    MessageConsumer consumer = auto.createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 3);
    consumer.close();
    Session client = connection.createSession(Session.CLIENT_ACKNOWLEDGE);
    consumer = client.createConsumer(queue);
    Scene.receiveNumbers(consumer, 3, 1);
    Scene.receive(consumer).acknowledge();
    consumer.close();
    Session individual = connection.createSession(INDIVIDUAL);
    consumer = individual.createConsumer(queue);
    Scene.receive(consumer);
    Scene.receive(consumer).acknowledge();
    connection.close();
    expectRest(scene, queue, "5", "7", "8", "9");
  }

  private static void recover(Scene scene) throws Exception {
    Session session = scene.session(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "recover");
    Scene.sendNumbers(session, queue, 0, 5);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receive(consumer).acknowledge();
    Scene.receiveNumbers(consumer, 1, 2);
    session.recover();
    Check.equal("1 again 2", describe(Scene.receive(consumer)), "the first after recover");
    session.recover();
    Check.equal("1 again 3", describe(Scene.receive(consumer)), "the first after two");
    Check.equal("2 again 3", describe(Scene.receive(consumer)), "the second");
    Scene.receiveNumbers(consumer, 3, 1);
    Message last = Scene.receive(consumer);
    last.acknowledge();
    session.recover();
    Scene.receiveNothing(consumer);
    Check.fails(
        jakarta.jms.IllegalStateException.class,
        "recover of a transacted session",
        () -> scene.session(Session.SESSION_TRANSACTED).recover());
  }

  private static void deliveryCount(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "count");
    Scene.sendNumbers(session, queue, 0, 2);
    session.commit();
    MessageConsumer consumer = session.createConsumer(queue);
    for (int attempt = 1; attempt <= 5; attempt += 1) {
      Message message = Scene.receive(consumer);
      String expected = attempt == 1 ? "0 new 1" : "0 again " + attempt;
      Check.equal(expected, describe(message), "attempt " + attempt);
      session.rollback();
    }
    // The second message was in the client's window all the time, and was never shown.
    Check.equal("0 again 6", describe(Scene.receive(consumer)), "attempt 6");
    Check.equal("1 new 1", describe(Scene.receive(consumer)), "the second message");
    session.commit();
  }

  private static void deadLetter(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "dead");
    try (var producer = session.createProducer(queue)) {
      TextMessage message = session.createTextMessage("poison");
      message.setStringProperty("kept", "as it was");
      message.setJMSCorrelationID("correlated");
      producer.send(message, jakarta.jms.DeliveryMode.PERSISTENT, 7, 0);
    }
    session.commit();
    MessageConsumer consumer = session.createConsumer(queue);
    for (int attempt = 1; attempt <= 10; attempt += 1) {
      Message message = Scene.receive(consumer);
      Check.equal(attempt, message.getIntProperty("JMSXDeliveryCount"), "the delivery count");
      session.rollback();
    }
    Scene.receiveNothing(consumer);
    TextMessage letter = (TextMessage) Scene.receive(deadLetters(scene, queue));
    Check.equal("poison", letter.getText(), "the dead letter");
    Check.equal("as it was", letter.getStringProperty("kept"), "its property");
    Check.equal("correlated", letter.getJMSCorrelationID(), "its correlation id");
    Check.equal(7, letter.getJMSPriority(), "its priority");
    String name = queue.getQueueName();
    Check.equal(name, letter.getStringProperty("_AMQ_ORIG_ADDRESS"), "its original address");
    Check.equal(name, letter.getStringProperty("_AMQ_ORIG_QUEUE"), "its original queue");
    Check.that(letter.propertyExists("_AMQ_ORIG_MESSAGE_ID"), "its original message id is missing");
    Check.equal(1, letter.getIntProperty("JMSXDeliveryCount"), "its delivery count");
  }

  private static void deadLetterOfListener(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "dead-listener");
    List<String> seen = new ArrayList<>();
    session
        .createConsumer(queue)
        .setMessageListener(
            message -> {
              seen.add(describe(message));
              throw new IllegalStateException("on purpose");
            });
    Scene.sendNumbers(scene.session(), queue, 0, 1);
    Check.equal("0", Scene.receiveText(deadLetters(scene, queue)), "the dead letter");
    Check.equal(10, seen.size(), "the count of attempts");
    Check.equal("0 new 1", seen.get(0), "the first attempt");
    Check.equal("0 again 10", seen.get(9), "the last attempt");
  }

  private static void poison(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "poison");
    Scene.sendNumbers(session, queue, 0, 20);
    session.commit();
    MessageConsumer consumer = session.createConsumer(queue);
    List<String> done = new ArrayList<>();
    while (done.size() < 19) {
      String text = Scene.receiveText(consumer);
      if (text.equals("5")) {
        session.rollback();
      } else {
        done.add(text);
        session.commit();
      }
    }
    Scene.receiveNothing(consumer);
    List<String> expected = new ArrayList<>();
    for (int number = 0; number < 20; number += 1) {
      if (number != 5) expected.add(String.valueOf(number));
    }
    Check.equal(expected, done, "what was done");
    Check.equal("5", Scene.receiveText(deadLetters(scene, queue)), "the dead letter");
  }

  /** A consumer of the dead letters that come from a queue. */
  private static MessageConsumer deadLetters(Scene scene, Queue queue) throws Exception {
    Session session = scene.session();
    String selector = "_AMQ_ORIG_ADDRESS = '" + queue.getQueueName() + "'";
    return session.createConsumer(session.createQueue("DLQ"), selector);
  }

  /** Fails unless exactly these texts are left in a queue, in this order. */
  private static void expectRest(Scene scene, Queue queue, String... texts) throws Exception {
    MessageConsumer consumer = scene.session().createConsumer(queue);
    for (String text : texts) Check.equal(text, Scene.receiveText(consumer), "what is left");
    Scene.receiveNothing(consumer);
  }

  /** Text, whether it is marked as delivered before, and the count of deliveries. */
  static String describe(Message message) {
    try {
      String mark = message.getJMSRedelivered() ? "again" : "new";
      String text = ((TextMessage) message).getText();
      return text + " " + mark + " " + message.getIntProperty("JMSXDeliveryCount");
    } catch (Exception error) {
      return error.toString();
    }
  }
}
