package everhold.interop;

import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;

/** Rules of docs/DELIVERY.md about settings of addresses, which each case gives to its own by management. */
final class RedeliveryRules {
  private RedeliveryRules() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("A6.0 the delay grows by its multiplier", RedeliveryRules::multiplier)
        .add("A6.1, A7.1 after the attempts that its address allows a message is a dead letter", RedeliveryRules::attempts)
        .add("A6.3 others overtake a message that waits for its redelivery", RedeliveryRules::overtaken)
        .add("A6.4 without a delay a message goes back to the head", RedeliveryRules::atOnce)
        .add("A7.1 a queue for the dead letters of each address is made by itself", RedeliveryRules::ownQueue)
        .add("A7.4 a dead letter says where it was, and keeps what it was", RedeliveryRules::origin)
        .add("A7.7 a message without a time to live gets that of its address", RedeliveryRules::expiryDelay)
        .run();
  }

  private static void multiplier(Scene scene) throws Exception {
    Session session = pulling(scene);
    Queue queue = withSettings(scene, "multiplier",
        "\"redeliveryDelay\":150,\"redeliveryMultiplier\":2,\"maxRedeliveryDelay\":10000");
    Scene.sendNumbers(scene.session(), queue, 0, 1);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 1);
    for (int attempt = 1; attempt <= 2; attempt += 1) {
      long startedNs = System.nanoTime();
      session.rollback();
      Message again = Scene.receive(consumer);
      long tookMs = (System.nanoTime() - startedNs) / 1_000_000;
      long leastMs = 150L * attempt;
      // Both machines' clocks count whole milliseconds.
      Check.that(tookMs >= leastMs - 2, "it came after " + tookMs + " ms, expected " + leastMs);
      Check.equal(attempt + 1, again.getIntProperty("JMSXDeliveryCount"), "the count");
    }
    session.commit();
  }

  private static void attempts(Scene scene) throws Exception {
    Session session = pulling(scene);
    Queue dead = made(scene, "dead");
    Queue queue = withSettings(scene, "attempts",
        "\"maxDeliveryAttempts\":3,\"deadLetterAddress\":\"" + dead.getQueueName() + "\"");
    Scene.sendNumbers(scene.session(), queue, 0, 2);
    MessageConsumer consumer = session.createConsumer(queue);
    for (int count = 1; count <= 3; count += 1) {
      Message message = Scene.receive(consumer);
      Check.equal("0", ((TextMessage) message).getText(), "delivery " + count);
      Check.equal(count, message.getIntProperty("JMSXDeliveryCount"), "its count");
      session.rollback();
    }
    Scene.receiveNumbers(consumer, 1, 1);
    session.commit();
    Scene.receiveNumbers(scene.session().createConsumer(dead), 0, 1);
  }

  private static void overtaken(Scene scene) throws Exception {
    Session session = pulling(scene);
    Queue queue = withSettings(scene, "overtaken", "\"redeliveryDelay\":86400000");
    Scene.sendNumbers(scene.session(), queue, 1, 3);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 1, 1);
    session.rollback();
    Scene.receiveNumbers(consumer, 2, 2);
    Scene.receiveNothing(consumer);
    session.commit();
  }

  private static void atOnce(Scene scene) throws Exception {
    Session session = pulling(scene);
    Queue queue = withSettings(scene, "atOnce", "\"redeliveryDelay\":0");
    Scene.sendNumbers(scene.session(), queue, 1, 3);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 1, 2);
    session.rollback();
    Scene.receiveNumbers(consumer, 1, 3);
    session.commit();
  }

  private static void ownQueue(Scene scene) throws Exception {
    Session session = pulling(scene);
    String sink = scene.name("sink");
    Queue queue = withSettings(scene, "own",
        "\"maxDeliveryAttempts\":1,\"deadLetterAddress\":\"" + sink + "\","
            + "\"autoCreateDeadLetterResources\":true,\"deadLetterQueuePrefix\":\"D-\",\"deadLetterQueueSuffix\":\"-E\"");
    Scene.sendNumbers(scene.session(), queue, 0, 1);
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 1);
    session.rollback();
    Scene.receiveNothing(consumer);
    Management.Asker asker = new Management.Asker(scene.session());
    String made = "queue.D-" + queue.getQueueName() + "-E";
    long deadline = System.currentTimeMillis() + Scene.WAIT_MS;
    while (!Long.valueOf(1).equals(asker.read(made, "messageCount"))) {
      Check.that(System.currentTimeMillis() < deadline, "no dead letter in the queue of its own");
    }
    Check.equal("MULTICAST", asker.read(made, "RoutingType"), "its routing type");
  }

  private static void origin(Scene scene) throws Exception {
    Session session = pulling(scene);
    Queue dead = made(scene, "grave");
    Queue queue = withSettings(scene, "origin",
        "\"maxDeliveryAttempts\":1,\"deadLetterAddress\":\"" + dead.getQueueName() + "\"");
    Session sending = scene.session();
    TextMessage message = sending.createTextMessage("bad");
    message.setStringProperty("color", "red");
    message.setJMSCorrelationID("c");
    sending.createProducer(queue).send(message, jakarta.jms.DeliveryMode.PERSISTENT, 7, 600_000);
    Scene.receive(session.createConsumer(queue));
    session.rollback();
    Message letter = Scene.receive(scene.session().createConsumer(dead));
    Check.equal("bad", ((TextMessage) letter).getText(), "the body");
    Check.equal("red", letter.getStringProperty("color"), "the property");
    Check.equal("c", letter.getJMSCorrelationID(), "the correlation id");
    Check.equal(7, letter.getJMSPriority(), "the priority");
    Check.equal(0L, letter.getJMSExpiration(), "the expiration");
    Check.equal(message.getJMSMessageID(), letter.getJMSMessageID(), "the id");
    Check.equal(queue.getQueueName(), letter.getStringProperty("_AMQ_ORIG_ADDRESS"), "the address");
    Check.equal(queue.getQueueName(), letter.getStringProperty("_AMQ_ORIG_QUEUE"), "the queue");
    Check.equal(1, letter.getIntProperty("JMSXDeliveryCount"), "the count");
  }

  private static void expiryDelay(Scene scene) throws Exception {
    Session session = pulling(scene);
    Queue expired = made(scene, "expired");
    Queue queue = withSettings(scene, "expiryDelay",
        "\"expiryDelay\":100,\"expiryAddress\":\"" + expired.getQueueName() + "\"");
    Scene.sendNumbers(scene.session(), queue, 0, 1);
    Thread.sleep(200);
    Scene.receiveNothing(session.createConsumer(queue));
    Message message = Scene.receive(scene.session().createConsumer(expired));
    Check.that(message.propertyExists("_AMQ_ACTUAL_EXPIRY"), "it says when it was to expire");
  }

  /** A transacted session whose consumers hold no message in advance. */
  private static Session pulling(Scene scene) throws JMSException {
    return scene.session(Session.SESSION_TRANSACTED, "consumerWindowSize=0");
  }

  /** A queue that is there. */
  private static Queue made(Scene scene, String suffix) throws Exception {
    String name = scene.name(suffix);
    Session session = scene.session();
    new Management.Asker(session).call("broker", "createQueue", name, "ANYCAST", name, "", true, -1, false, true);
    return session.createQueue(name);
  }

  /** A queue whose address has these settings, as JSON without its braces. */
  private static Queue withSettings(Scene scene, String suffix, String settings) throws Exception {
    Session session = scene.session();
    new Management.Asker(session)
        .call("broker", "addAddressSettings", scene.name(suffix), "{" + settings + "}");
    return made(scene, suffix);
  }
}
