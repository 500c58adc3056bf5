package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Queues of every kind, made by the attributes in their names, and message groups. */
final class QueueKinds {
  private QueueKinds() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("each message group goes to one consumer, in order", QueueKinds::groups)
        .add("when the owner of a group closes, the next gets the rest in order", QueueKinds::heirs)
        .add("the sequence -1 ends a group", QueueKinds::groupEnds)
        .add("a message that was rolled back comes before the rest of its group", QueueKinds::groupRollback)
        .add("an exclusive queue goes from one consumer to the next", QueueKinds::exclusive)
        .add("a last-value queue keeps the newest of each value", QueueKinds::lastValue)
        .add("a ring queue keeps the newest messages", QueueKinds::ring)
        .add("a non-destructive queue keeps what is acknowledged", QueueKinds::nonDestructive)
        .add("a queue waits for as many consumers as it is to have", QueueKinds::waits)
        .run();
  }

  private static Queue queue(Scene scene, Session session, String suffix, String attributes)
      throws Exception {
    return session.createQueue(scene.name(suffix) + attributes);
  }

  private static void send(Session session, Queue queue, String text, String group, int sequence)
      throws Exception {
    try (MessageProducer producer = session.createProducer(queue)) {
      TextMessage message = session.createTextMessage(text);
      message.setStringProperty("JMSXGroupID", group);
      if (sequence != 0) message.setIntProperty("JMSXGroupSeq", sequence);
      producer.send(message);
    }
  }

  private static List<String> drain(MessageConsumer consumer) throws Exception {
    List<String> texts = new ArrayList<>();
    for (; ; ) {
      Message message = consumer.receiveNoWait();
      if (message == null) return texts;
      texts.add(((TextMessage) message).getText());
    }
  }

  private static void groups(Scene scene) throws Exception {
    Session sending = scene.session();
    Queue queue = scene.queue(sending, "groups");
    List<MessageConsumer> consumers = new ArrayList<>();
    for (int index = 0; index < 3; index += 1) {
      consumers.add(scene.connect().createSession().createConsumer(queue));
    }
    for (int round = 0; round < 5; round += 1) {
      for (int group = 0; group < 6; group += 1) {
        send(sending, queue, group + ":" + round, "group " + group, 0);
      }
    }
    Set<String> seen = new HashSet<>();
    for (MessageConsumer consumer : consumers) {
      List<String> texts = drain(consumer);
      Check.equal(10, texts.size(), "messages of one consumer");
      for (int group = 0; group < 6; group += 1) {
        String prefix = group + ":";
        List<String> own = texts.stream().filter(text -> text.startsWith(prefix)).toList();
        if (own.isEmpty()) continue;
        Check.that(seen.add(prefix), "group " + group + " has one consumer");
        for (int round = 0; round < 5; round += 1) {
          Check.equal(prefix + round, own.get(round), "the order of a group");
        }
      }
    }
    Check.equal(6, seen.size(), "groups that were received");
  }

  private static void heirs(Scene scene) throws Exception {
    Session sending = scene.session();
    Queue queue = scene.queue(sending, "heirs");
    Connection owner = scene.connect();
    owner.createSession().createConsumer(queue);
    for (int index = 0; index < 4; index += 1) send(sending, queue, "" + index, "g", 0);
    MessageConsumer second = scene.connect().createSession().createConsumer(queue);
    Scene.receiveNothing(second);
    owner.close();
    send(sending, queue, "4", "g", 0);
    for (int index = 0; index < 5; index += 1) {
      Check.equal("" + index, Scene.receiveText(second), "what the heir gets");
    }
  }

  private static void groupEnds(Scene scene) throws Exception {
    Session sending = scene.session();
    Queue queue = scene.queue(sending, "ends");
    MessageConsumer first = scene.connect().createSession().createConsumer(queue);
    MessageConsumer second = scene.connect().createSession().createConsumer(queue);
    send(sending, queue, "a1", "a", 0);
    send(sending, queue, "b1", "b", 0);
    send(sending, queue, "a2", "a", -1);
    send(sending, queue, "c1", "c", 0);
    send(sending, queue, "a3", "a", 0);
    Set<List<String>> found = Set.of(drain(first), drain(second));
    Check.equal(Set.of(List.of("a1", "a2", "c1"), List.of("b1", "a3")), found, "who got what");
  }

  private static void groupRollback(Scene scene) throws Exception {
    Session sending = scene.session();
    Queue queue = scene.queue(sending, "rollback");
    Session transacted = scene.session(Session.SESSION_TRANSACTED);
    MessageConsumer consumer = transacted.createConsumer(queue);
    for (int index = 0; index < 3; index += 1) send(sending, queue, "" + index, "g", 0);
    Check.equal("0", Scene.receiveText(consumer), "the first message");
    Check.equal("1", Scene.receiveText(consumer), "the second message");
    transacted.rollback();
    for (int index = 0; index < 3; index += 1) {
      Check.equal("" + index, Scene.receiveText(consumer), "after the rollback");
    }
    transacted.commit();
  }

  private static void exclusive(Scene scene) throws Exception {
    Session sending = scene.session();
    Queue queue = queue(scene, sending, "exclusive", "?exclusive=true");
    // The client makes the queue with its attributes when it sends, and not when it consumes.
    Scene.sendNumbers(sending, queue, 0, 2);
    Connection owner = scene.connect();
    MessageConsumer first = owner.createSession().createConsumer(queue);
    Scene.receiveNumbers(first, 0, 2);
    MessageConsumer second = scene.connect().createSession().createConsumer(queue);
    Scene.sendNumbers(sending, queue, 2, 3);
    Scene.receiveNothing(second);
    owner.close();
    Scene.receiveNumbers(second, 2, 3);
  }

  private static void lastValue(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = queue(scene, session, "values", "?last-value=true");
    try (MessageProducer producer = session.createProducer(queue)) {
      for (String text : List.of("a1", "b1", "a2", "c1", "b2")) {
        TextMessage message = session.createTextMessage(text);
        message.setStringProperty("_AMQ_LVQ_NAME", text.substring(0, 1));
        producer.send(message);
      }
    }
    MessageConsumer consumer = session.createConsumer(queue);
    List<String> texts = new ArrayList<>();
    for (int index = 0; index < 3; index += 1) texts.add(Scene.receiveText(consumer));
    Check.equal(Set.of("a2", "c1", "b2"), new HashSet<>(texts), "what is left");
    Scene.receiveNothing(consumer);
  }

  private static void ring(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = queue(scene, session, "ring", "?ring-size=3");
    Scene.sendNumbers(session, queue, 0, 10);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 7, 3);
    Scene.receiveNothing(consumer);
  }

  private static void nonDestructive(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = queue(scene, session, "kept", "?non-destructive=true");
    Scene.sendNumbers(session, queue, 0, 3);
    for (int round = 0; round < 2; round += 1) {
      try (MessageConsumer consumer = session.createConsumer(queue)) {
        Scene.receiveNumbers(consumer, 0, 3);
        Scene.receiveNothing(consumer);
      }
    }
  }

  private static void waits(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = queue(scene, session, "crowd", "?consumers-before-dispatch=2");
    Scene.sendNumbers(session, queue, 0, 4);
    MessageConsumer first = session.createConsumer(queue);
    Scene.receiveNothing(first);
    MessageConsumer second = scene.connect().createSession().createConsumer(queue);
    int count = 0;
    while (count < 4) {
      count += drain(first).size() + drain(second).size();
    }
    Check.equal(4, count, "messages");
  }
}
