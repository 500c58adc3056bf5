package everhold.interop;

import jakarta.jms.DeliveryMode;
import jakarta.jms.IllegalStateRuntimeException;
import jakarta.jms.InvalidClientIDRuntimeException;
import jakarta.jms.InvalidSelectorRuntimeException;
import jakarta.jms.JMSConsumer;
import jakarta.jms.JMSContext;
import jakarta.jms.JMSProducer;
import jakarta.jms.Message;
import jakarta.jms.Queue;
import jakarta.jms.TemporaryQueue;
import jakarta.jms.Topic;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** The simplified API of JMS 2.0: contexts instead of connections and sessions. */
final class SimplifiedApi {
  private SimplifiedApi() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("bodies are sent and received without messages", SimplifiedApi::bodies)
        .add("a producer's settings hold for what it sends", SimplifiedApi::settings)
        .add("a context commits and rolls back", SimplifiedApi::transacted)
        .add("a context acknowledges and recovers", SimplifiedApi::acknowledges)
        .add("a context starts by itself, unless it is told not to", SimplifiedApi::autoStart)
        .add("contexts of one connection are closed apart", SimplifiedApi::contexts)
        .add("listeners of a context get messages", SimplifiedApi::listeners)
        .add("durable and shared subscriptions of contexts", SimplifiedApi::subscriptions)
        .add("asynchronous sends of a context complete", SimplifiedApi::async)
        .add("temporary queues and browsers of a context", SimplifiedApi::temporary)
        .add("failures are unchecked exceptions", SimplifiedApi::failures)
        .run();
  }

  private static JMSContext open(Scene scene, int mode) throws Exception {
    return scene.factory().createContext(mode);
  }

  private static void bodies(Scene scene) throws Exception {
    try (JMSContext context = open(scene, JMSContext.AUTO_ACKNOWLEDGE)) {
      Queue queue = context.createQueue(scene.name("bodies"));
      JMSProducer producer = context.createProducer();
      JMSConsumer consumer = context.createConsumer(queue);
      producer.send(queue, "text \u20ac");
      producer.send(queue, new byte[] {1, 2, 3});
      producer.send(queue, Map.of("key", 42));
      producer.send(queue, (java.io.Serializable) List.of("a", "b"));
      Check.equal("text \u20ac", consumer.receiveBody(String.class, Scene.WAIT_MS), "text");
      Check.equal(
          new byte[] {1, 2, 3}, consumer.receiveBody(byte[].class, Scene.WAIT_MS), "bytes");
      Check.equal(42, consumer.receiveBody(Map.class, Scene.WAIT_MS).get("key"), "the map's entry");
      Check.equal(List.of("a", "b"), consumer.receiveBody(List.class, Scene.WAIT_MS), "the object");
      Check.equal(null, consumer.receiveBodyNoWait(String.class), "what is not there");
      Check.equal(null, consumer.receiveBody(String.class, 50), "what is not there");
    }
  }

  private static void settings(Scene scene) throws Exception {
    try (JMSContext context = open(scene, JMSContext.AUTO_ACKNOWLEDGE)) {
      Queue queue = context.createQueue(scene.name("settings"));
      Queue replies = context.createQueue(scene.name("replies"));
      JMSConsumer consumer = context.createConsumer(queue);
      context
          .createProducer()
          .setPriority(8)
          .setDeliveryMode(DeliveryMode.NON_PERSISTENT)
          .setTimeToLive(600_000)
          .setDeliveryDelay(100)
          .setJMSCorrelationID("correlated")
          .setJMSType("type")
          .setJMSReplyTo(replies)
          .setProperty("number", 5)
          .setProperty("long", Long.MIN_VALUE)
          .setProperty("text", "\ud83d\ude00")
          .setProperty("float", Float.NaN)
          .send(queue, "text");
      Message found = consumer.receive(Scene.WAIT_MS);
      Check.equal(8, found.getJMSPriority(), "the priority");
      Check.equal(DeliveryMode.NON_PERSISTENT, found.getJMSDeliveryMode(), "the delivery mode");
      Check.that(found.getJMSExpiration() > System.currentTimeMillis(), "the expiration is over");
      Check.that(found.getJMSDeliveryTime() <= System.currentTimeMillis(), "it came early");
      Check.equal("correlated", found.getJMSCorrelationID(), "the correlation id");
      Check.equal("type", found.getJMSType(), "the type");
      Check.equal(replies, found.getJMSReplyTo(), "the reply-to");
      Check.equal(5, found.getIntProperty("number"), "the int");
      Check.equal(Long.MIN_VALUE, found.getLongProperty("long"), "the long");
      Check.equal("\ud83d\ude00", found.getStringProperty("text"), "the text");
      Check.equal(Float.NaN, found.getFloatProperty("float"), "the float");
    }
  }

  private static void transacted(Scene scene) throws Exception {
    try (JMSContext context = open(scene, JMSContext.SESSION_TRANSACTED);
        JMSContext other = open(scene, JMSContext.AUTO_ACKNOWLEDGE)) {
      Queue queue = context.createQueue(scene.name("transacted"));
      JMSConsumer consumer = other.createConsumer(queue);
      context.createProducer().send(queue, "dropped");
      context.rollback();
      context.createProducer().send(queue, "kept");
      Check.equal(null, consumer.receive(Scene.QUIET_MS), "what is not committed");
      context.commit();
      Check.equal("kept", consumer.receiveBody(String.class, Scene.WAIT_MS), "the message");
      Check.equal(true, context.getTransacted(), "transacted");
    }
  }

  private static void acknowledges(Scene scene) throws Exception {
    try (JMSContext context = open(scene, JMSContext.CLIENT_ACKNOWLEDGE)) {
      Queue queue = context.createQueue(scene.name("acknowledges"));
      for (int number = 0; number < 4; number += 1) {
        context.createProducer().send(queue, String.valueOf(number));
      }
      JMSConsumer consumer = context.createConsumer(queue);
      consumer.receive(Scene.WAIT_MS);
      consumer.receive(Scene.WAIT_MS);
      context.acknowledge();
      Check.equal("2", consumer.receiveBody(String.class, Scene.WAIT_MS), "the third");
      context.recover();
      Message again = consumer.receive(Scene.WAIT_MS);
      Check.equal("2 again 2", Acknowledgement.describe(again), "the third again");
      Check.equal("3", consumer.receiveBody(String.class, Scene.WAIT_MS), "the fourth");
      context.acknowledge();
      context.recover();
      Check.equal(null, consumer.receive(Scene.QUIET_MS), "what is left");
    }
  }

  private static void autoStart(Scene scene) throws Exception {
    try (JMSContext context = open(scene, JMSContext.AUTO_ACKNOWLEDGE);
        JMSContext other = open(scene, JMSContext.AUTO_ACKNOWLEDGE)) {
      Queue queue = context.createQueue(scene.name("start"));
      other.createProducer().send(queue, "text");
      context.setAutoStart(false);
      JMSConsumer consumer = context.createConsumer(queue);
      Check.equal(null, consumer.receive(Scene.QUIET_MS), "what a stopped context gives");
      context.start();
      Check.equal("text", consumer.receiveBody(String.class, Scene.WAIT_MS), "the message");
      context.stop();
      other.createProducer().send(queue, "more");
      Check.equal(null, consumer.receive(Scene.QUIET_MS), "what a stopped context gives");
    }
  }

  private static void contexts(Scene scene) throws Exception {
    try (JMSContext first = open(scene, JMSContext.AUTO_ACKNOWLEDGE)) {
      Queue queue = first.createQueue(scene.name("contexts"));
      JMSContext second = first.createContext(JMSContext.SESSION_TRANSACTED);
      second.createProducer().send(queue, "dropped");
      second.close();
      try (JMSContext third = first.createContext(JMSContext.AUTO_ACKNOWLEDGE)) {
        third.createProducer().send(queue, "kept");
      }
      JMSConsumer consumer = first.createConsumer(queue);
      Check.equal("kept", consumer.receiveBody(String.class, Scene.WAIT_MS), "the message");
      Check.equal(null, consumer.receiveNoWait(), "what is left");
    }
  }

  private static void listeners(Scene scene) throws Exception {
    try (JMSContext context = open(scene, JMSContext.AUTO_ACKNOWLEDGE);
        JMSContext sending = open(scene, JMSContext.AUTO_ACKNOWLEDGE)) {
      Queue queue = context.createQueue(scene.name("listeners"));
      Topic topic = context.createTopic(scene.name("listeners"));
      BlockingQueue<Message> ofQueue = new LinkedBlockingQueue<>();
      BlockingQueue<Message> ofTopic = new LinkedBlockingQueue<>();
      context.createConsumer(queue).setMessageListener(ofQueue::add);
      context.createConsumer(topic).setMessageListener(ofTopic::add);
      for (int number = 0; number < 20; number += 1) {
        sending.createProducer().send(queue, String.valueOf(number));
        sending.createProducer().send(topic, String.valueOf(number));
      }
      Delivery.takeNumbers(ofQueue, 0, 20);
      Delivery.takeNumbers(ofTopic, 0, 20);
    }
  }

  private static void subscriptions(Scene scene) throws Exception {
    try (JMSContext sending = open(scene, JMSContext.AUTO_ACKNOWLEDGE)) {
      Topic topic = sending.createTopic(scene.name("topic"));
      for (int round = 0; round < 2; round += 1) {
        try (JMSContext context = open(scene, JMSContext.AUTO_ACKNOWLEDGE)) {
          context.setClientID(scene.name("client"));
          JMSConsumer durable = context.createDurableConsumer(topic, "durable");
          JMSConsumer shared = context.createSharedDurableConsumer(topic, "shared");
          JMSConsumer passing = context.createSharedConsumer(topic, "passing");
          sending.createProducer().send(topic, "seen " + round);
          for (JMSConsumer each : List.of(durable, shared)) {
            if (round == 1) Check.equal("missed", each.receiveBody(String.class, Scene.WAIT_MS), "it");
          }
          for (JMSConsumer each : List.of(durable, shared, passing)) {
            Check.equal("seen " + round, each.receiveBody(String.class, Scene.WAIT_MS), "it");
            Check.equal(null, each.receive(Scene.QUIET_MS), "what is left");
            each.close();
          }
          if (round == 1) {
            context.unsubscribe("durable");
            context.unsubscribe("shared");
          }
        }
        sending.createProducer().send(topic, "missed");
      }
    }
  }

  private static void async(Scene scene) throws Exception {
    try (JMSContext context =
        scene.factory("confirmationWindowSize=1000").createContext(JMSContext.AUTO_ACKNOWLEDGE)) {
      Queue queue = context.createQueue(scene.name("async"));
      CountDownLatch rest = new CountDownLatch(50);
      JMSProducer producer = context.createProducer();
      producer.setAsync(
          new jakarta.jms.CompletionListener() {
            @Override
            public void onCompletion(Message message) {
              rest.countDown();
            }

            @Override
            public void onException(Message message, Exception error) {}
          });
      for (int number = 0; number < 50; number += 1) producer.send(queue, String.valueOf(number));
      Check.that(rest.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), rest.getCount() + " never complete");
      JMSConsumer consumer = context.createConsumer(queue);
      for (int number = 0; number < 50; number += 1) {
        String text = consumer.receiveBody(String.class, Scene.WAIT_MS);
        Check.equal(String.valueOf(number), text, "the next message");
      }
    }
  }

  private static void temporary(Scene scene) throws Exception {
    try (JMSContext context = open(scene, JMSContext.AUTO_ACKNOWLEDGE)) {
      TemporaryQueue queue = context.createTemporaryQueue();
      context.createProducer().send(queue, "text");
      try (var browser = context.createBrowser(queue)) {
        Check.equal(true, browser.getEnumeration().hasMoreElements(), "whether it sees the message");
      }
      try (JMSConsumer consumer = context.createConsumer(queue)) {
        Check.equal("text", consumer.receiveBody(String.class, Scene.WAIT_MS), "the message");
      }
      queue.delete();
    }
  }

  private static void failures(Scene scene) throws Exception {
    JMSContext context = open(scene, JMSContext.AUTO_ACKNOWLEDGE);
    Queue queue = context.createQueue(scene.name("failures"));
    Check.fails(
        InvalidSelectorRuntimeException.class,
        "a selector that is not one",
        () -> context.createConsumer(queue, "number ="));
    Check.fails(IllegalStateRuntimeException.class, "commit", context::commit);
    try (JMSContext first = open(scene, JMSContext.AUTO_ACKNOWLEDGE);
        JMSContext second = open(scene, JMSContext.AUTO_ACKNOWLEDGE)) {
      first.setClientID(scene.name("client"));
      Check.fails(
          InvalidClientIDRuntimeException.class,
          "the same client id",
          () -> second.setClientID(scene.name("client")));
    }
    context.close();
    context.close();
    Check.fails(
        IllegalStateRuntimeException.class, "a closed context", () -> context.createConsumer(queue));
  }
}
