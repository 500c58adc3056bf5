package everhold.interop;

import java.util.HashSet;
import java.util.Set;
import org.apache.activemq.artemis.api.core.Message;
import org.apache.activemq.artemis.api.core.QueueConfiguration;
import org.apache.activemq.artemis.api.core.RoutingType;
import org.apache.activemq.artemis.api.core.client.ActiveMQClient;
import org.apache.activemq.artemis.api.core.client.ClientConsumer;
import org.apache.activemq.artemis.api.core.client.ClientMessage;
import org.apache.activemq.artemis.api.core.client.ClientProducer;
import org.apache.activemq.artemis.api.core.client.ClientSession;

/**
 * What a bridge of an Artemis broker brings, from the queue {@code source} of the broker that the option
 * {@code from} names, through an exclusive divert, to {@code target} of this one.
 */
final class Bridged {
  private static final int COUNT = 3000;
  private static final long LIMIT_MS = 240_000;

  private Bridged() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("a bridge brings each message once, over two kills of its target", LIMIT_MS, Bridged::once)
        .run();
  }

  private static void once(Scene scene) throws Exception {
    makeTarget(scene);
    Thread kills = new Thread(() -> killTwice(scene), "kills");
    kills.start();
    try (var locator = ActiveMQClient.createServerLocator(scene.option("from"));
        var factory = locator.createSessionFactory();
        ClientSession session = factory.createSession(true, true)) {
      ClientProducer producer = session.createProducer("orders");
      for (int number = 0; number < COUNT; number += 1) producer.send(message(session, number));
    }
    kills.join();
    expectEach(scene);
  }

  private static void makeTarget(Scene scene) throws Exception {
    try (var factory = scene.factory().getServerLocator().createSessionFactory();
        ClientSession session = factory.createSession(true, true)) {
      session.createQueue(QueueConfiguration.of("target").setRoutingType(RoutingType.ANYCAST));
    }
  }

  /** Every other message has an id of its producer's, and one of fifty is large. */
  private static ClientMessage message(ClientSession session, int number) {
    ClientMessage message = session.createMessage(true).putIntProperty("number", number);
    if (number % 2 == 0) {
      message.putStringProperty(Message.HDR_DUPLICATE_DETECTION_ID.toString(), "id" + number);
    }
    message.getBodyBuffer().writeBytes(new byte[number % 50 == 0 ? 200_000 : 100]);
    return message;
  }

  private static void killTwice(Scene scene) {
    try {
      for (int time = 0; time < 2; time += 1) {
        Thread.sleep(700);
        BrokerStops.end(scene, "kill");
        BrokerStops.start(scene);
        Thread.sleep(1500);
      }
    } catch (Exception error) {
      throw new IllegalStateException(error);
    }
  }

  private static void expectEach(Scene scene) throws Exception {
    try (var factory = scene.factory().getServerLocator().createSessionFactory();
        ClientSession session = factory.createSession(true, true)) {
      session.start();
      ClientConsumer consumer = session.createConsumer("target");
      Set<Integer> numbers = new HashSet<>();
      while (numbers.size() < COUNT) {
        ClientMessage message = consumer.receive(Scene.WAIT_MS);
        Check.that(message != null, "only " + numbers.size() + " messages came");
        int number = message.getIntProperty("number");
        Check.that(numbers.add(number), "message " + number + " came twice");
        Check.equal(number % 50 == 0 ? 200_000 : 100, message.getBodySize(), "the size of " + number);
        Check.that(!message.containsProperty(Message.HDR_BRIDGE_DUPLICATE_ID), "the bridge's id is delivered");
        message.acknowledge();
      }
      ClientMessage more = consumer.receive(1000);
      Check.that(more == null, "a message came twice");
    }
  }
}
