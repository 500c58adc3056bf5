package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.activemq.artemis.api.core.ActiveMQException;
import org.apache.activemq.artemis.api.core.ActiveMQExceptionType;

/** Local transactions: what others see before and after, and what comes back. */
final class Transactions {
  private Transactions() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("nobody sees a send before its commit", Transactions::invisible)
        .add("a rollback drops what was sent", Transactions::rollbackSends)
        .add("a rollback gives back what was received, in order and marked", Transactions::rollbackReceived)
        .add("what was received and committed never comes again", Transactions::commitReceived)
        .add("closing without a commit rolls back", Transactions::closeRollsBack)
        .add("receiving from one queue and sending to another is one thing", Transactions::transform)
        .add("one transaction sends to queues and topics", Transactions::manyDestinations)
        .add("several consumers of a session share its transaction", Transactions::manyConsumers)
        .add("one transaction holds 5,000 messages", Transactions::many)
        .add("transactions follow each other in one session", Transactions::inSequence)
        .add("an empty transaction commits and rolls back", Transactions::empty)
        .add("a listener commits and rolls back", Transactions::listener)
        .add("a listener that throws rolls nothing back by itself", Transactions::listenerThrows)
        .add("a repeated duplicate id rolls the whole transaction back", Transactions::duplicateId)
        .add("outside a transaction a repeated duplicate id is refused or dropped", Transactions::duplicateSend)
        .add("a session knows whether it is transacted", Transactions::knows)
        .run();
  }

  private static void invisible(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "invisible");
    MessageConsumer other = scene.session().createConsumer(queue);
    Scene.sendNumbers(session, queue, 0, 5);
    Scene.receiveNothing(other);
    session.commit();
    Scene.receiveNumbers(other, 0, 5);
  }

  private static void rollbackSends(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "dropped");
    MessageConsumer other = scene.session().createConsumer(queue);
    Scene.sendNumbers(session, queue, 0, 5);
    session.rollback();
    Scene.sendNumbers(session, queue, 5, 5);
    session.commit();
    Scene.receiveNumbers(other, 5, 5);
    Scene.receiveNothing(other);
  }

  private static void rollbackReceived(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "back");
    Scene.sendNumbers(session, queue, 0, 10);
    session.commit();
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 6);
    session.rollback();
    for (int number = 0; number < 10; number += 1) {
      String expected = number + (number < 6 ? " again 2" : " new 1");
      String found = Acknowledgement.describe(Scene.receive(consumer));
      Check.equal(expected, found, "message " + number);
    }
    session.commit();
    Scene.receiveNothing(consumer);
  }

  private static void commitReceived(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "gone");
    Scene.sendNumbers(session, queue, 0, 10);
    session.commit();
    Scene.receiveNumbers(session.createConsumer(queue), 0, 6);
    session.commit();
    connection.close();
    MessageConsumer next = scene.session().createConsumer(queue);
    Scene.receiveNumbers(next, 6, 4);
    Scene.receiveNothing(next);
  }

  private static void closeRollsBack(Scene scene) throws Exception {
    for (boolean closesSession : new boolean[] {true, false}) {
      Connection connection = scene.connect();
      Session session = connection.createSession(Session.SESSION_TRANSACTED);
      Queue queue = scene.queue(session, "close" + closesSession);
      Scene.sendNumbers(session, queue, 0, 3);
      session.commit();
      Scene.receiveNumbers(session.createConsumer(queue), 0, 2);
      Scene.sendNumbers(session, queue, 3, 3);
      if (closesSession) session.close();
      else connection.close();
      MessageConsumer next = scene.session().createConsumer(queue);
      for (String expected : List.of("0 again 2", "1 again 2", "2 new 1")) {
        Check.equal(expected, Acknowledgement.describe(Scene.receive(next)), "what is left");
      }
      Scene.receiveNothing(next);
    }
  }

  private static void transform(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue source = scene.queue(session, "source");
    Queue target = scene.queue(session, "target");
    Scene.sendNumbers(session, source, 0, 50);
    session.commit();
    MessageConsumer consumer = session.createConsumer(source);
    MessageProducer producer = session.createProducer(target);
    int attempts = 0;
    for (int done = 0; done < 50; ) {
      TextMessage message = (TextMessage) Scene.receive(consumer);
      Check.equal(String.valueOf(done), message.getText(), "the next message");
      producer.send(session.createTextMessage(message.getText()));
      attempts += 1;
      if (attempts % 3 == 0) {
        session.rollback();
      } else {
        session.commit();
        done += 1;
      }
    }
    MessageConsumer all = scene.session().createConsumer(target);
    Scene.receiveNumbers(all, 0, 50);
    Scene.receiveNothing(all);
  }

  private static void manyDestinations(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Session receiving = scene.session();
    Queue first = scene.queue(session, "first");
    Queue second = scene.queue(session, "second");
    Topic topic = scene.topic(session, "topic");
    List<MessageConsumer> consumers =
        List.of(
            receiving.createConsumer(first),
            receiving.createConsumer(second),
            receiving.createConsumer(topic),
            scene.session().createConsumer(topic));
    for (boolean commits : new boolean[] {false, true}) {
      for (var destination : List.of(first, second, topic)) {
        Scene.sendNumbers(session, destination, commits ? 10 : 0, 10);
      }
      if (commits) session.commit();
      else session.rollback();
    }
    for (MessageConsumer consumer : consumers) {
      Scene.receiveNumbers(consumer, 10, 10);
      Scene.receiveNothing(consumer);
    }
  }

  private static void manyConsumers(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue first = scene.queue(session, "first");
    Queue second = scene.queue(session, "second");
    Scene.sendNumbers(session, first, 0, 3);
    Scene.sendNumbers(session, second, 10, 3);
    session.commit();
    MessageConsumer ofFirst = session.createConsumer(first);
    MessageConsumer ofSecond = session.createConsumer(second);
    Scene.receiveNumbers(ofFirst, 0, 2);
    Scene.receiveNumbers(ofSecond, 10, 1);
    session.rollback();
    Scene.receiveNumbers(ofSecond, 10, 2);
    Scene.receiveNumbers(ofFirst, 0, 1);
    // A consumer that is closed in the middle leaves what it received to the transaction.
    ofFirst.close();
    session.commit();
    MessageConsumer next = scene.session().createConsumer(first);
    Scene.receiveNumbers(next, 1, 2);
    Scene.receiveNothing(next);
    Scene.receiveNumbers(ofSecond, 12, 1);
  }

  private static void many(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "many");
    Scene.sendNumbers(session, queue, 0, 5_000);
    session.commit();
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 5_000);
    session.rollback();
    Scene.receiveNumbers(consumer, 0, 5_000);
    session.commit();
    Scene.receiveNothing(consumer);
  }

  private static void inSequence(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "sequence");
    MessageConsumer consumer = session.createConsumer(queue);
    for (int number = 0; number < 200; number += 1) {
      Scene.sendNumbers(session, queue, number, 1);
      session.commit();
      Scene.receiveNumbers(consumer, number, 1);
    }
    session.rollback();
    Scene.receiveNumbers(consumer, 199, 1);
    session.commit();
    Scene.receiveNothing(consumer);
  }

  private static void empty(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    session.commit();
    session.rollback();
    session.createConsumer(scene.queue(session, "empty"));
    session.rollback();
    session.commit();
  }

  private static void listener(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "listener");
    BlockingQueue<String> seen = new LinkedBlockingQueue<>();
    session
        .createConsumer(queue)
        .setMessageListener(
            message -> {
              try {
                boolean isNew = !message.getJMSRedelivered();
                if (isNew) session.rollback();
                else session.commit();
                seen.add(Acknowledgement.describe(message));
              } catch (JMSException error) {
                seen.add(error.toString());
              }
            });
    Scene.sendNumbers(scene.session(), queue, 0, 5);
    for (int number = 0; number < 5; number += 1) {
      Check.equal(number + " new 1", next(seen), "what the listener saw");
      Check.equal(number + " again 2", next(seen), "what the listener saw");
    }
  }

  private static void listenerThrows(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "throws");
    BlockingQueue<String> seen = new LinkedBlockingQueue<>();
    MessageConsumer consumer = session.createConsumer(queue);
    consumer.setMessageListener(
        message -> {
          seen.add(Acknowledgement.describe(message));
          throw new IllegalStateException("on purpose");
        });
    Scene.sendNumbers(scene.session(), queue, 0, 2);
    Check.equal("0 new 1", next(seen), "what the listener saw");
    Check.equal("1 new 1", next(seen), "what the listener saw");
    session.close();
    MessageConsumer other = scene.session().createConsumer(queue);
    Check.equal("0 again 2", Acknowledgement.describe(Scene.receive(other)), "the first message");
    Check.equal("1 again 2", Acknowledgement.describe(Scene.receive(other)), "the second message");
  }

  private static String next(BlockingQueue<String> seen) throws Exception {
    return seen.poll(Scene.WAIT_MS, TimeUnit.MILLISECONDS);
  }

  private static void duplicateId(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "duplicate");
    MessageProducer producer = session.createProducer(queue);
    producer.send(withDuplicateId(session, "first", "id-1"));
    session.commit();
    producer.send(session.createTextMessage("beside it"));
    producer.send(withDuplicateId(session, "again", "id-1"));
    JMSException error = Check.fails(JMSException.class, "the commit", session::commit);
    Check.equal(
        ActiveMQExceptionType.DUPLICATE_ID_REJECTED,
        ((ActiveMQException) error.getCause()).getType(),
        "the reason");
    producer.send(withDuplicateId(session, "second", "id-2"));
    session.commit();
    MessageConsumer consumer = scene.session().createConsumer(queue);
    Check.equal("first", Scene.receiveText(consumer), "the first message");
    Check.equal("second", Scene.receiveText(consumer), "the second message");
    Scene.receiveNothing(consumer);
  }

  private static void duplicateSend(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "duplicate-send");
    MessageProducer producer = session.createProducer(queue);
    producer.send(withDuplicateId(session, "first", "id-1"));
    try {
      producer.send(withDuplicateId(session, "again", "id-1"));
    } catch (JMSException error) {
      String text = String.valueOf(error.getCause());
      Check.that(text.contains("uplicate"), "the send fails with " + text);
    }
    producer.send(session.createTextMessage("last"));
    MessageConsumer consumer = session.createConsumer(queue);
    Check.equal("first", Scene.receiveText(consumer), "the first message");
    Check.equal("last", Scene.receiveText(consumer), "the second message");
    Scene.receiveNothing(consumer);
  }

  private static Message withDuplicateId(Session session, String text, String id)
      throws JMSException {
    TextMessage message = session.createTextMessage(text);
    message.setStringProperty("_AMQ_DUPL_ID", id);
    return message;
  }

  private static void knows(Scene scene) throws Exception {
    Session transacted = scene.session(Session.SESSION_TRANSACTED);
    Check.equal(true, transacted.getTransacted(), "getTransacted");
    Check.equal(Session.SESSION_TRANSACTED, transacted.getAcknowledgeMode(), "its mode");
    Session session = scene.session();
    Check.equal(false, session.getTransacted(), "getTransacted");
    Check.fails(jakarta.jms.IllegalStateException.class, "commit", session::commit);
    Check.fails(jakarta.jms.IllegalStateException.class, "rollback", session::rollback);
  }
}
