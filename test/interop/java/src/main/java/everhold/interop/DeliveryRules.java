package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.IllegalStateException;
import jakarta.jms.InvalidSelectorException;
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
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** The rules of docs/DELIVERY.md that a Java program sees; each case begins with the id of its rule. */
final class DeliveryRules {
  private DeliveryRules() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("A1.1 in a transacted session the mode means nothing", DeliveryRules::transactedMode)
        .add("A1.3 a listener that throws sees the message again, counted", DeliveryRules::listenerThrows)
        .add("A1.3 a listener that throws in CLIENT mode sees the next message", DeliveryRules::clientListenerThrows)
        .add("A1.8 recover begins at the first unacknowledged message", DeliveryRules::recover)
        .add("A1.8 recover is refused in a transacted session", DeliveryRules::recoverTransacted)
        .add("A1.12 a consumer that closes leaves its transaction", DeliveryRules::closeInTransaction)
        .add("A1.13 what a closed session had seen is counted, what it prefetched is not", DeliveryRules::counted)
        .add("A1.16 acknowledging twice is harmless", DeliveryRules::acknowledgeTwice)
        .add("A3.3 the send overwrites what the message said", DeliveryRules::headers)
        .add("A3.5 a producer keeps to its destination", DeliveryRules::producers)
        .add("A4.6 a rollback brings all back before what came later", DeliveryRules::rollbackOrder)
        .add("A4.13 a message that expires before the commit never comes", DeliveryRules::expiresBeforeCommit)
        .add("A6.6 redelivered goes with a count of two or more", DeliveryRules::deliveryCounts)
        .add("A8.1 each of four producers keeps its order", DeliveryRules::producerOrder)
        .add("A8.2 a transaction comes as a block", DeliveryRules::block)
        .add("A8.3 without a window a higher priority comes next", DeliveryRules::priority)
        .add("A8.4 what a consumer leaves goes to another before what is newer", DeliveryRules::leftBehind)
        .add("A9.2 of two open transactions with one duplicate id one commits", DeliveryRules::duplicates)
        .add("A9.3 a rolled back transaction releases its duplicate id", DeliveryRules::releasedDuplicate)
        .add("A10.2 without a window receiveNoWait asks the broker", DeliveryRules::pull)
        .add("A13.1 what is missing makes a condition unknown", s -> selects(s,
            "missing = 1", false, "NOT (missing = 1)", false, "missing = 1 OR n = 5", true,
            "missing = 1 AND n = 5", false, "missing IS NULL", true, "n IS NULL", false))
        .add("A13.2 a text is no number", s -> selects(s,
            "digits > 1", false, "NOT (digits > 1)", true, "digits = 2", false, "n = 5.0", true))
        .add("A13.3 LIKE knows one character, any run, and what is escaped", s -> selects(s,
            "under LIKE '\\_%' ESCAPE '\\'", true, "color LIKE '\\_%' ESCAPE '\\'", false,
            "color LIKE 'r_d'", true, "color LIKE 'r%'", true, "missing LIKE '%'", false))
        .add("A13.6 NOT binds looser than a comparison", s -> selects(s,
            "NOT color = 'blue'", true, "NOT color = 'red'", false))
        .add("A13.7 what is missing equals nothing", s -> selects(s,
            "missing = other", false, "n = missing", false, "missing <> n", false))
        .add("A13.8 whole numbers divide to whole ones", s -> selects(s,
            "n / 2 = 2", true, "n / 2 = 2.5", false, "n / 2.0 = 2.5", true))
        .add("A13.9 there are no comments", s -> refuses(s, "n = 5 /* five */"))
        .add("A13.11 texts are not added up", s -> selects(s, "color + color = 'redred'", false))
        .add("A13.12 numbers compare in the wider type", s -> selects(s,
            "big = 9007199254740993", true, "big = 9007199254740992", false,
            "big = 9007199254740992.0", true, "n = 5.0", true))
        .add("A13.13 hyphens and texts as numbers where a prefix asks for it", s -> selects(s,
            "convert_string_expressions:digits > 1", true, "hyphenated_props:n = 5", true))
        .add("A14.1 a durable subscription has one subscriber, and is not ended under it", DeliveryRules::durable)
        .add("A14.3 an acknowledgement of one subscription leaves the other's copy", DeliveryRules::copies)
        .add("A14.4 noLocal keeps away what the same client sends", DeliveryRules::noLocal)
        .add("A14.5 only its connection consumes from a temporary queue", DeliveryRules::temporary)
        .add("A14.6 browsing changes nothing", DeliveryRules::browse)
        .add("A14.7 a delayed message is for subscribers that were there", DeliveryRules::delayed)
        .run();
  }

  private static String describe(Message message) throws JMSException {
    String again = message.getJMSRedelivered() ? " again " : " new ";
    return ((TextMessage) message).getText() + again + message.getIntProperty("JMSXDeliveryCount");
  }

  private static void transactedMode(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(true, Session.CLIENT_ACKNOWLEDGE);
    Check.equal(Session.SESSION_TRANSACTED, session.getAcknowledgeMode(), "the mode");
    Queue queue = scene.queue(session, "mode");
    Scene.sendNumbers(scene.session(), queue, 0, 1);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receive(consumer).acknowledge();
    session.rollback();
    Check.equal("0 again 2", describe(Scene.receive(consumer)), "after the rollback");
    session.commit();
  }

  private static void listenerThrows(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "throws");
    Scene.sendNumbers(session, queue, 0, 1);
    List<String> seen = seenWhileThrowing(session, queue, 3);
    Check.equal(List.of("0 new 1", "0 again 2", "0 again 3"), seen, "what it saw");
  }

  private static void clientListenerThrows(Scene scene) throws Exception {
    Session session = scene.session(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "throws");
    Scene.sendNumbers(scene.session(), queue, 0, 2);
    List<String> seen = seenWhileThrowing(session, queue, 2);
    Check.equal(List.of("0 new 1", "1 new 1"), seen, "what it saw");
  }

  /** What a listener is given that throws the first two times, until it was given so many. */
  private static List<String> seenWhileThrowing(Session session, Queue queue, int count)
      throws Exception {
    List<String> seen = Collections.synchronizedList(new ArrayList<>());
    CountDownLatch all = new CountDownLatch(count);
    session
        .createConsumer(queue)
        .setMessageListener(
            message -> {
              try {
                seen.add(describe(message));
              } catch (JMSException error) {
                seen.add(error.toString());
              }
              int given = seen.size();
              all.countDown();
              if (given <= 2) throw new RuntimeException("on purpose");
            });
    Check.that(all.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "the listener saw " + seen);
    return List.copyOf(seen);
  }

  private static void recover(Scene scene) throws Exception {
    Session session = scene.session(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "recover");
    Scene.sendNumbers(scene.session(), queue, 1, 3);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receive(consumer).acknowledge();
    Scene.receiveNumbers(consumer, 2, 2);
    session.recover();
    Check.equal("2 again 2", describe(Scene.receive(consumer)), "the first after recover");
    Message last = Scene.receive(consumer);
    Check.equal("3 again 2", describe(last), "the second after recover");
    last.acknowledge();
    Scene.receiveNothing(consumer);
  }

  private static void recoverTransacted(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Check.fails(IllegalStateException.class, "recover", session::recover);
    session.commit();
  }

  private static void closeInTransaction(Scene scene) throws Exception {
    for (boolean commits : new boolean[] {true, false}) {
      Session session = scene.session(Session.SESSION_TRANSACTED);
      Queue queue = scene.queue(session, "close-" + commits);
      Scene.sendNumbers(scene.session(), queue, 0, 2);
      MessageConsumer consumer = session.createConsumer(queue);
      Scene.receiveNumbers(consumer, 0, 1);
      consumer.close();
      if (commits) session.commit();
      else session.rollback();
      session.close();
      Scene.receiveNumbers(scene.session().createConsumer(queue), commits ? 1 : 0, commits ? 1 : 2);
    }
  }

  private static void counted(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "counted");
    Scene.sendNumbers(scene.session(), queue, 0, 10);
    Scene.receiveNumbers(session.createConsumer(queue), 0, 2);
    connection.close();
    MessageConsumer next = scene.session().createConsumer(queue);
    for (int number = 0; number < 10; number += 1) {
      String expected = number + (number < 2 ? " again 2" : " new 1");
      Check.equal(expected, describe(Scene.receive(next)), "a message that was left");
    }
  }

  private static void acknowledgeTwice(Scene scene) throws Exception {
    Session session = scene.session(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = scene.queue(session, "twice");
    Scene.sendNumbers(scene.session(), queue, 0, 2);
    MessageConsumer consumer = session.createConsumer(queue);
    Message first = Scene.receive(consumer);
    first.acknowledge();
    first.acknowledge();
    Message second = Scene.receive(consumer);
    Check.equal("1 new 1", describe(second), "the second message");
    second.acknowledge();
    second.acknowledge();
    Scene.receiveNothing(consumer);
  }

  private static void headers(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "headers");
    MessageProducer producer = session.createProducer(queue);
    TextMessage message = session.createTextMessage("x");
    message.setJMSPriority(9);
    message.setJMSDeliveryMode(DeliveryMode.PERSISTENT);
    message.setJMSExpiration(1);
    message.setJMSRedelivered(true);
    producer.send(message, DeliveryMode.NON_PERSISTENT, 2, 600_000);
    Message received = Scene.receive(session.createConsumer(queue));
    Check.equal(2, received.getJMSPriority(), "the priority");
    Check.equal(DeliveryMode.NON_PERSISTENT, received.getJMSDeliveryMode(), "the mode");
    Check.equal(false, received.getJMSRedelivered(), "the mark");
    Check.that(received.getJMSExpiration() > 1, "the expiration is the send's");
    Check.equal(queue, received.getJMSDestination(), "the destination");
    Check.equal(message.getJMSMessageID(), received.getJMSMessageID(), "the id");
  }

  private static void producers(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "bound");
    MessageProducer bound = session.createProducer(queue);
    Message message = session.createTextMessage("0");
    Check.fails(
        UnsupportedOperationException.class,
        "a bound producer for another destination",
        () -> bound.send(scene.queue(session, "other"), message));
    MessageProducer free = session.createProducer(null);
    Check.fails(
        UnsupportedOperationException.class, "a free producer without one", () -> free.send(message));
    free.send(queue, message);
    TemporaryQueue gone = session.createTemporaryQueue();
    gone.delete();
    Check.fails(
        JMSException.class,
        "a temporary queue that is gone",
        () -> session.createConsumer(gone));
    Scene.receiveNumbers(session.createConsumer(queue), 0, 1);
  }

  private static void rollbackOrder(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "order");
    Scene.sendNumbers(scene.session(), queue, 1, 3);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 1, 3);
    Scene.sendNumbers(scene.session(), queue, 4, 1);
    session.rollback();
    Scene.receiveNumbers(consumer, 1, 4);
    session.commit();
  }

  private static void expiresBeforeCommit(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "expires");
    MessageProducer producer = session.createProducer(queue);
    producer.send(session.createTextMessage("short"), DeliveryMode.PERSISTENT, 4, 50);
    producer.send(session.createTextMessage("1"));
    Thread.sleep(100);
    session.commit();
    MessageConsumer consumer = scene.session().createConsumer(queue);
    Scene.receiveNumbers(consumer, 1, 1);
    Scene.receiveNothing(consumer);
  }

  private static void deliveryCounts(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "counts");
    Scene.sendNumbers(scene.session(), queue, 0, 1);
    MessageConsumer consumer = session.createConsumer(queue);
    for (int count = 1; count <= 4; count += 1) {
      String expected = count == 1 ? "0 new 1" : "0 again " + count;
      Check.equal(expected, describe(Scene.receive(consumer)), "delivery " + count);
      if (count < 4) session.rollback();
    }
    session.commit();
  }

  private static void producerOrder(Scene scene) throws Exception {
    Queue queue = scene.queue(scene.session(), "producers");
    List<Thread> threads = new ArrayList<>();
    for (int first : new int[] {0, 1_000, 2_000, 3_000}) {
      Session session = scene.session();
      Thread thread =
          new Thread(
              () -> {
                try {
                  Scene.sendNumbers(session, queue, first, 200);
                } catch (JMSException error) {
                  throw new RuntimeException(error);
                }
              });
      threads.add(thread);
      thread.start();
    }
    for (Thread thread : threads) thread.join();
    MessageConsumer consumer = scene.session().createConsumer(queue);
    int[] next = {0, 0, 0, 0};
    for (int count = 0; count < 800; count += 1) {
      int number = Integer.parseInt(Scene.receiveText(consumer));
      Check.equal(next[number / 1_000]++, number % 1_000, "the next one of producer " + number / 1_000);
    }
  }

  private static void block(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Session other = scene.session();
    Queue queue = scene.queue(session, "block");
    for (int number = 0; number < 20; number += 1) {
      Scene.sendNumbers(session, queue, 100 + number, 1);
      Scene.sendNumbers(other, queue, number, 1);
    }
    session.commit();
    Scene.sendNumbers(other, queue, 20, 1);
    MessageConsumer consumer = scene.session().createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 20);
    Scene.receiveNumbers(consumer, 100, 20);
    Scene.receiveNumbers(consumer, 20, 1);
  }

  private static void priority(Scene scene) throws Exception {
    Session session = scene.session("consumerWindowSize=0");
    Queue queue = scene.queue(session, "priority");
    Scene.sendNumbers(session, queue, 0, 20);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 1);
    session
        .createProducer(queue)
        .send(session.createTextMessage("99"), DeliveryMode.PERSISTENT, 9, 0);
    Scene.receiveNumbers(consumer, 99, 1);
    Scene.receiveNumbers(consumer, 1, 19);
  }

  private static void leftBehind(Scene scene) throws Exception {
    Connection leaving = scene.connect("consumerWindowSize=0");
    Session first = leaving.createSession(Session.CLIENT_ACKNOWLEDGE);
    Queue queue = scene.queue(first, "left");
    Scene.sendNumbers(scene.session(), queue, 0, 10);
    Scene.receiveNumbers(first.createConsumer(queue), 0, 5);
    MessageConsumer second = scene.session("consumerWindowSize=0").createConsumer(queue);
    Scene.receiveNumbers(second, 5, 1);
    leaving.close();
    Scene.receiveNumbers(second, 0, 5);
    Scene.receiveNumbers(second, 6, 4);
  }

  private static void duplicates(Scene scene) throws Exception {
    Session[] sessions = {
      scene.session(Session.SESSION_TRANSACTED), scene.session(Session.SESSION_TRANSACTED)
    };
    Queue queue = scene.queue(sessions[0], "duplicates");
    for (Session session : sessions) sendWithId(session, queue, "0", scene.name("id"));
    int commits = 0;
    for (Session session : sessions) {
      try {
        session.commit();
        commits += 1;
      } catch (JMSException refused) {
        session.rollback();
      }
    }
    Check.equal(1, commits, "the commits that succeeded");
    MessageConsumer consumer = scene.session().createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 1);
    Scene.receiveNothing(consumer);
  }

  private static void releasedDuplicate(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "released");
    sendWithId(session, queue, "0", scene.name("id"));
    session.rollback();
    sendWithId(session, queue, "1", scene.name("id"));
    session.commit();
    MessageConsumer consumer = scene.session().createConsumer(queue);
    Scene.receiveNumbers(consumer, 1, 1);
    Scene.receiveNothing(consumer);
  }

  private static void sendWithId(Session session, Queue queue, String text, String id)
      throws JMSException {
    TextMessage message = session.createTextMessage(text);
    message.setStringProperty("_AMQ_DUPL_ID", id);
    session.createProducer(queue).send(message);
  }

  private static void pull(Scene scene) throws Exception {
    Session session = scene.session("consumerWindowSize=0");
    Queue queue = scene.queue(session, "pull");
    MessageConsumer consumer = session.createConsumer(queue);
    Check.equal(null, consumer.receiveNoWait(), "a message of an empty queue");
    Scene.sendNumbers(session, queue, 0, 2);
    Check.equal("0", ((TextMessage) consumer.receiveNoWait()).getText(), "the next message");
    Scene.receiveNumbers(scene.session().createConsumer(queue), 1, 1);
  }

  /** Sends one message, and asks each selector, before `true` or `false`, whether it chooses it. */
  private static void selects(Scene scene, Object... expectations) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "selectors");
    TextMessage message = session.createTextMessage("x");
    message.setIntProperty("n", 5);
    message.setLongProperty("big", 9007199254740993L);
    message.setStringProperty("color", "red");
    message.setStringProperty("digits", "2");
    message.setStringProperty("under", "_foo");
    session.createProducer(queue).send(message);
    for (int index = 0; index < expectations.length; index += 2) {
      String selector = (String) expectations[index];
      try (QueueBrowser browser = session.createBrowser(queue, selector)) {
        boolean found = browser.getEnumeration().hasMoreElements();
        Check.equal(expectations[index + 1], found, "whether " + selector + " chooses");
      }
    }
  }

  private static void refuses(Scene scene, String selector) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "refused");
    Scene.sendNumbers(session, queue, 0, 1);
    Check.fails(
        InvalidSelectorException.class, selector, () -> session.createConsumer(queue, selector));
    Scene.receiveNumbers(session.createConsumer(queue), 0, 1);
  }

  private static void durable(Scene scene) throws Exception {
    Connection connection = scene.connectStopped();
    connection.setClientID(scene.name("client"));
    connection.start();
    Session session = connection.createSession();
    Topic topic = scene.topic(session, "durable");
    MessageConsumer subscriber = session.createDurableConsumer(topic, "name");
    Session second = connection.createSession();
    Check.fails(
        JMSException.class, "a second subscriber", () -> second.createDurableConsumer(topic, "name"));
    Check.fails(
        JMSException.class, "unsubscribe under a subscriber", () -> session.unsubscribe("name"));
    Check.fails(
        JMSException.class,
        "a shared subscriber of the same name",
        () -> second.createSharedDurableConsumer(topic, "name", "n > 1"));
    Scene.sendNumbers(session, topic, 0, 1);
    Scene.receiveNumbers(subscriber, 0, 1);
    subscriber.close();
    session.unsubscribe("name");
  }

  private static void copies(Scene scene) throws Exception {
    Session session = scene.session();
    Topic topic = scene.topic(session, "copies");
    MessageConsumer first = session.createConsumer(topic);
    MessageConsumer second = scene.session().createConsumer(topic);
    Scene.sendNumbers(session, topic, 0, 3);
    Scene.receiveNumbers(first, 0, 3);
    Scene.receiveNothing(first);
    Scene.receiveNumbers(second, 0, 3);
  }

  private static void noLocal(Scene scene) throws Exception {
    String client = scene.name("client");
    Connection connection = scene.connectStopped();
    connection.setClientID(client);
    connection.start();
    Session session = connection.createSession();
    Topic topic = scene.topic(session, "local");
    MessageConsumer plain = session.createConsumer(topic, null, true);
    session.createDurableConsumer(topic, "durable", null, true).close();
    Scene.sendNumbers(session, topic, 0, 1);
    Scene.sendNumbers(scene.session(), topic, 1, 1);
    Scene.receiveNumbers(plain, 1, 1);
    Scene.receiveNothing(plain);
    connection.close();
    Connection again = scene.connectStopped();
    again.setClientID(client);
    again.start();
    Session later = again.createSession();
    Scene.sendNumbers(later, topic, 2, 1);
    MessageConsumer durable = later.createDurableConsumer(topic, "durable", null, true);
    Scene.receiveNumbers(durable, 1, 1);
    Scene.receiveNothing(durable);
    durable.close();
    later.unsubscribe("durable");
  }

  private static void temporary(Scene scene) throws Exception {
    Session session = scene.session();
    TemporaryQueue queue = session.createTemporaryQueue();
    Session foreign = scene.session();
    Check.fails(
        JMSException.class, "a consumer of another connection", () -> foreign.createConsumer(queue));
    Scene.sendNumbers(foreign, queue, 0, 1);
    Scene.receiveNumbers(session.createConsumer(queue), 0, 1);
  }

  private static void browse(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "browse");
    Scene.sendNumbers(session, queue, 0, 5);
    for (int round = 0; round < 2; round += 1) {
      try (QueueBrowser browser = session.createBrowser(queue)) {
        int count = 0;
        for (var each = browser.getEnumeration(); each.hasMoreElements(); each.nextElement()) count += 1;
        Check.equal(5, count, "the messages that are seen");
      }
    }
    MessageConsumer consumer = session.createConsumer(queue);
    for (int number = 0; number < 5; number += 1) {
      Check.equal(number + " new 1", describe(Scene.receive(consumer)), "a browsed message");
    }
  }

  private static void delayed(Scene scene) throws Exception {
    Session session = scene.session();
    Topic topic = scene.topic(session, "delayed");
    MessageConsumer early = session.createConsumer(topic);
    MessageProducer producer = session.createProducer(topic);
    producer.setDeliveryDelay(300);
    producer.send(session.createTextMessage("0"));
    MessageConsumer late = scene.session().createConsumer(topic);
    Scene.receiveNumbers(early, 0, 1);
    Scene.receiveNothing(late);
  }
}
