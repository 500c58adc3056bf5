package everhold.interop;

import jakarta.jms.DeliveryMode;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Header fields: those that JMS sets, those that applications set, priority and expiry. */
final class Headers {
  private Headers() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("the sender's headers are those of the receiver", Headers::carried)
        .add("message ids are unique", Headers::ids)
        .add("ids and timestamps can be left out", Headers::withoutIds)
        .add("correlation ids are text or bytes", Headers::correlation)
        .add("a reply-to may be a queue, a topic or temporary", Headers::replyTo)
        .add("a type, and a group with its sequence, are carried", Headers::typeAndGroup)
        .add("the delivery mode is carried", Headers::deliveryMode)
        .add("every priority is carried", Headers::priorities)
        .add("higher priorities come first, each in order", Headers::priorityOrder)
        .add("priorities are kept apart in a rollback too", Headers::priorityRollback)
        .add("an expiry is carried", Headers::expiryCarried)
        .add("an expired message never comes, and goes to the expiry queue", Headers::expired)
        .add("a message that expires in the client's window never comes", Headers::expiredInWindow)
        .add("some expire, and the others come in order", Headers::someExpire)
        .add("what a producer says by default holds for all its sends", Headers::producerDefaults)
        .run();
  }

  private static void carried(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "carried");
    long before = System.currentTimeMillis();
    TextMessage sent = session.createTextMessage("text");
    try (MessageProducer producer = session.createProducer(queue)) {
      producer.send(sent, DeliveryMode.PERSISTENT, 9, 600_000);
    }
    long after = System.currentTimeMillis();
    Message found = Scene.receive(session.createConsumer(queue));
    Check.equal(sent.getJMSMessageID(), found.getJMSMessageID(), "the message id");
    Check.that(found.getJMSMessageID().startsWith("ID:"), "the id is " + found.getJMSMessageID());
    long timestamp = found.getJMSTimestamp();
    Check.that(timestamp >= before && timestamp <= after, "the timestamp is " + timestamp);
    Check.equal(sent.getJMSTimestamp(), timestamp, "the timestamp");
    Check.equal(sent.getJMSExpiration(), found.getJMSExpiration(), "the expiration");
    Check.equal(queue, found.getJMSDestination(), "the destination");
    Check.equal(queue, sent.getJMSDestination(), "the sender's destination");
    Check.equal(9, found.getJMSPriority(), "the priority");
    Check.equal(DeliveryMode.PERSISTENT, found.getJMSDeliveryMode(), "the delivery mode");
    Check.equal(false, found.getJMSRedelivered(), "redelivered");
    Check.equal(1, found.getIntProperty("JMSXDeliveryCount"), "the delivery count");
    Check.equal(null, found.getJMSReplyTo(), "the reply-to");
    Check.equal(null, found.getJMSCorrelationID(), "the correlation id");
    Check.equal(null, found.getJMSType(), "the type");

    Topic topic = scene.topic(session, "topic");
    MessageConsumer subscriber = session.createConsumer(topic);
    Scene.sendNumbers(session, topic, 0, 1);
    Check.equal(topic, Scene.receive(subscriber).getJMSDestination(), "a topic as destination");
  }

  private static void ids(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "ids");
    Set<String> sent = new HashSet<>();
    try (MessageProducer producer = session.createProducer(queue)) {
      Message message = session.createMessage();
      for (int number = 0; number < 50; number += 1) {
        producer.send(message);
        sent.add(message.getJMSMessageID());
      }
    }
    Check.equal(50, sent.size(), "the count of ids");
    MessageConsumer consumer = session.createConsumer(queue);
    Set<String> found = new HashSet<>();
    for (int number = 0; number < 50; number += 1) {
      found.add(Scene.receive(consumer).getJMSMessageID());
    }
    Check.equal(sent, found, "the ids");
  }

  private static void withoutIds(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "without");
    Message sent = session.createMessage();
    try (MessageProducer producer = session.createProducer(queue)) {
      producer.setDisableMessageID(true);
      producer.setDisableMessageTimestamp(true);
      producer.send(sent);
    }
    Check.equal(null, sent.getJMSMessageID(), "the sender's id");
    Message found = Scene.receive(session.createConsumer(queue));
    Check.equal(null, found.getJMSMessageID(), "the id");
    Check.equal(0L, found.getJMSTimestamp(), "the timestamp");
  }

  private static void correlation(Scene scene) throws Exception {
    Session session = scene.session();
    List<Message> messages = new ArrayList<>();
    List<String> texts =
        List.of("", "plain", "ID:1234", "\u0000\ud83d\ude00", "x".repeat(4_095), "\u20ac".repeat(70_000));
    for (String text : texts) {
      Message message = session.createMessage();
      message.setJMSCorrelationID(text);
      messages.add(message);
    }
    byte[] bytes = {0, -1, 127, -128};
    Message withBytes = session.createMessage();
    withBytes.setJMSCorrelationIDAsBytes(bytes);
    messages.add(withBytes);
    List<Message> received = Bodies.roundTrip(scene, session, messages);
    for (int index = 0; index < texts.size(); index += 1) {
      Check.equal(texts.get(index), received.get(index).getJMSCorrelationID(), "correlation id");
    }
    Check.equal(bytes, received.get(texts.size()).getJMSCorrelationIDAsBytes(), "the bytes");
  }

  private static void replyTo(Scene scene) throws Exception {
    Session session = scene.session();
    for (var destination :
        List.of(
            scene.queue(session, "reply"),
            scene.topic(session, "reply"),
            session.createTemporaryQueue(),
            session.createTemporaryTopic())) {
      Message message = session.createMessage();
      message.setJMSReplyTo(destination);
      Message found = Bodies.roundTrip(scene, session, List.of(message)).get(0);
      Check.equal(destination.toString(), found.getJMSReplyTo().toString(), "the reply-to");
      Check.equal(destination, found.getJMSReplyTo(), "the reply-to");
    }
  }

  private static void typeAndGroup(Scene scene) throws Exception {
    Session session = scene.session();
    Message message = session.createMessage();
    message.setJMSType("a type \ud83d\ude00");
    message.setStringProperty("JMSXGroupID", "group \u20ac");
    message.setIntProperty("JMSXGroupSeq", 7);
    Message found = Bodies.roundTrip(scene, session, List.of(message)).get(0);
    Check.equal("a type \ud83d\ude00", found.getJMSType(), "the type");
    Check.equal("group \u20ac", found.getStringProperty("JMSXGroupID"), "the group");
    Check.equal(7, found.getIntProperty("JMSXGroupSeq"), "its sequence");
  }

  private static void deliveryMode(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "mode");
    MessageConsumer consumer = session.createConsumer(queue);
    MessageProducer producer = session.createProducer(queue);
    Check.equal(DeliveryMode.PERSISTENT, producer.getDeliveryMode(), "the default");
    for (int mode : new int[] {DeliveryMode.PERSISTENT, DeliveryMode.NON_PERSISTENT}) {
      producer.send(session.createMessage(), mode, 4, 0);
      Check.equal(mode, Scene.receive(consumer).getJMSDeliveryMode(), "the delivery mode");
    }
  }

  private static void priorities(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "priorities");
    MessageConsumer consumer = session.createConsumer(queue);
    MessageProducer producer = session.createProducer(queue);
    for (int priority = 0; priority <= 9; priority += 1) {
      producer.send(session.createMessage(), DeliveryMode.PERSISTENT, priority, 0);
      Check.equal(priority, Scene.receive(consumer).getJMSPriority(), "the priority");
    }
    Check.fails(
        JMSException.class,
        "priority 10",
        () -> producer.send(session.createMessage(), DeliveryMode.PERSISTENT, 10, 0));
  }

  /** Sends three messages of each priority, in an order that is not theirs; gives them in their order. */
  private static List<String> sendPriorities(Session session, Queue queue) throws JMSException {
    List<String> expected = new ArrayList<>();
    try (MessageProducer producer = session.createProducer(queue)) {
      for (int round = 0; round < 3; round += 1) {
        for (int step = 0; step < 10; step += 1) {
          int priority = step * 7 % 10;
          Message message = session.createTextMessage(priority + "-" + round);
          producer.send(message, DeliveryMode.PERSISTENT, priority, 0);
        }
      }
    }
    for (int priority = 9; priority >= 0; priority -= 1) {
      for (int round = 0; round < 3; round += 1) expected.add(priority + "-" + round);
    }
    return expected;
  }

  private static void priorityOrder(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "order");
    List<String> expected = sendPriorities(session, queue);
    MessageConsumer consumer = session.createConsumer(queue);
    for (String text : expected) Check.equal(text, Scene.receiveText(consumer), "the next message");
    Scene.receiveNothing(consumer);
  }

  private static void priorityRollback(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "rollback");
    List<String> expected = sendPriorities(session, queue);
    session.commit();
    MessageConsumer consumer = session.createConsumer(queue);
    for (int index = 0; index < 20; index += 1) {
      Check.equal(expected.get(index), Scene.receiveText(consumer), "before the rollback");
    }
    session.rollback();
    for (String text : expected) Check.equal(text, Scene.receiveText(consumer), "after it");
    session.commit();
    Scene.receiveNothing(consumer);
  }

  private static void expiryCarried(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "expiry");
    MessageConsumer consumer = session.createConsumer(queue);
    MessageProducer producer = session.createProducer(queue);
    producer.setTimeToLive(600_000);
    Message sent = session.createMessage();
    producer.send(sent);
    Message found = Scene.receive(consumer);
    Check.equal(sent.getJMSExpiration(), found.getJMSExpiration(), "the expiration");
    long ttl = found.getJMSExpiration() - found.getJMSTimestamp();
    Check.that(ttl >= 600_000 && ttl < 610_000, "the time to live is " + ttl);
    producer.setTimeToLive(0);
    producer.send(sent);
    Check.equal(0L, Scene.receive(consumer).getJMSExpiration(), "no expiration");
  }

  private static void expired(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "expired");
    try (MessageProducer producer = session.createProducer(queue)) {
      TextMessage message = session.createTextMessage("too late");
      message.setStringProperty("kept", "as it was");
      producer.send(message, DeliveryMode.PERSISTENT, 4, 50);
    }
    Thread.sleep(2 * 50);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNothing(consumer);
    TextMessage found = (TextMessage) Scene.receive(expiryQueue(session, queue));
    Check.equal("too late", found.getText(), "the expired message");
    Check.equal("as it was", found.getStringProperty("kept"), "its property");
    Check.equal(0L, found.getJMSExpiration(), "its expiration in the expiry queue");
    String name = queue.getQueueName();
    Check.equal(name, found.getStringProperty("_AMQ_ORIG_ADDRESS"), "its original address");
    Check.equal(name, found.getStringProperty("_AMQ_ORIG_QUEUE"), "its original queue");
    long actual = found.getLongProperty("_AMQ_ACTUAL_EXPIRY");
    Check.that(actual > 0 && actual <= System.currentTimeMillis(), "it expired at " + actual);
  }

  private static void expiredInWindow(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "window");
    MessageConsumer consumer = session.createConsumer(queue);
    try (MessageProducer producer = session.createProducer(queue)) {
      producer.send(session.createTextMessage("soon"), DeliveryMode.PERSISTENT, 4, 100);
      producer.send(session.createTextMessage("later"));
    }
    Thread.sleep(2 * 100);
    Check.equal("later", Scene.receiveText(consumer), "the message that did not expire");
    Scene.receiveNothing(consumer);
    Check.equal("soon", Scene.receiveText(expiryQueue(session, queue)), "the expired message");
  }

  private static void someExpire(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "some");
    try (MessageProducer producer = session.createProducer(queue)) {
      for (int number = 0; number < 30; number += 1) {
        long ttl = number % 3 == 0 ? 100 : 600_000;
        Message message = session.createTextMessage(String.valueOf(number));
        producer.send(message, DeliveryMode.PERSISTENT, 4, ttl);
      }
    }
    Thread.sleep(2 * 100);
    MessageConsumer consumer = session.createConsumer(queue);
    for (int number = 0; number < 30; number += 1) {
      if (number % 3 == 0) continue;
      Check.equal(String.valueOf(number), Scene.receiveText(consumer), "the next message");
    }
    Scene.receiveNothing(consumer);
    MessageConsumer ofExpired = expiryQueue(session, queue);
    Set<String> found = new HashSet<>();
    for (int count = 0; count < 10; count += 1) found.add(Scene.receiveText(ofExpired));
    Check.equal(10, found.size(), "the count of expired messages");
    Scene.receiveNothing(ofExpired);
  }

  private static void producerDefaults(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "defaults");
    MessageConsumer consumer = session.createConsumer(queue);
    MessageProducer producer = session.createProducer(queue);
    producer.setPriority(2);
    producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
    producer.setTimeToLive(600_000);
    Message message = session.createMessage();
    // What an application sets on the message itself is not what counts.
    message.setJMSPriority(8);
    message.setJMSExpiration(1);
    message.setJMSDeliveryMode(DeliveryMode.PERSISTENT);
    producer.send(message);
    Message found = Scene.receive(consumer);
    Check.equal(2, found.getJMSPriority(), "the priority");
    Check.equal(DeliveryMode.NON_PERSISTENT, found.getJMSDeliveryMode(), "the delivery mode");
    Check.that(found.getJMSExpiration() > System.currentTimeMillis(), "the expiration is over");
  }

  /** A consumer of what expired in a queue. */
  private static MessageConsumer expiryQueue(Session session, Queue queue) throws JMSException {
    String selector = "_AMQ_ORIG_ADDRESS = '" + queue.getQueueName() + "'";
    return session.createConsumer(session.createQueue("ExpiryQueue"), selector);
  }
}
