package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.IllegalStateException;
import jakarta.jms.InvalidClientIDException;
import jakarta.jms.InvalidDestinationException;
import jakarta.jms.JMSException;
import jakarta.jms.MessageConsumer;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import java.util.ArrayList;
import java.util.List;

/** Durable and shared subscriptions, and who may have them. */
final class Subscriptions {
  private Subscriptions() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("a durable subscription keeps messages while its subscriber is away", Subscriptions::durable)
        .add("what a durable subscriber did not acknowledge waits for it", Subscriptions::durableUnacknowledged)
        .add("a durable subscription has one subscriber at a time", Subscriptions::oneSubscriber)
        .add("another selector makes a durable subscription anew", Subscriptions::otherSelector)
        .add("unsubscribe ends a durable subscription", Subscriptions::unsubscribe)
        .add("a durable subscription needs a client id", Subscriptions::needsClientId)
        .add("subscriptions of two client ids are two", Subscriptions::twoClientIds)
        .add("subscribers of a shared subscription share its messages", Subscriptions::shared)
        .add("a shared subscription ends with its last subscriber", Subscriptions::sharedEnds)
        .add("a shared durable subscription stays without subscribers", Subscriptions::sharedDurable)
        .add("a shared durable subscription ends by unsubscribe", Subscriptions::sharedDurableUnsubscribe)
        .add("shared subscriptions with and without client id are apart", Subscriptions::sharedApart)
        .add("a shared subscription of another topic or selector is refused", Subscriptions::sharedMismatch)
        .add("a noLocal subscriber gets only what others send", Subscriptions::noLocal)
        .add("a subscriber's selector chooses its messages", Subscriptions::selector)
        .run();
  }

  private static Connection connectAs(Scene scene, String clientId) throws JMSException {
    Connection connection = scene.connectStopped();
    connection.setClientID(clientId);
    connection.start();
    return connection;
  }

  private static void durable(Scene scene) throws Exception {
    Session sending = scene.session();
    Topic topic = scene.topic(sending, "durable");
    String clientId = scene.name("client");
    Scene.sendNumbers(sending, topic, -1, 1);
    for (int round = 0; round < 3; round += 1) {
      Connection connection = connectAs(scene, clientId);
      MessageConsumer subscriber = connection.createSession().createDurableSubscriber(topic, "mine");
      if (round > 0) Scene.receiveNumbers(subscriber, round * 10 - 5, 5);
      Scene.sendNumbers(sending, topic, round * 10, 5);
      Scene.receiveNumbers(subscriber, round * 10, 5);
      Scene.receiveNothing(subscriber);
      connection.close();
      Scene.sendNumbers(sending, topic, round * 10 + 5, 5);
    }
    Connection connection = connectAs(scene, clientId);
    Session session = connection.createSession();
    session.createDurableConsumer(topic, "mine").close();
    session.unsubscribe("mine");
  }

  private static void durableUnacknowledged(Scene scene) throws Exception {
    Session sending = scene.session();
    Topic topic = scene.topic(sending, "unacknowledged");
    Connection first = connectAs(scene, scene.name("client"));
    Session transacted = first.createSession(Session.SESSION_TRANSACTED);
    MessageConsumer subscriber = transacted.createDurableSubscriber(topic, "mine");
    Scene.sendNumbers(sending, topic, 0, 4);
    Scene.receiveNumbers(subscriber, 0, 1);
    transacted.commit();
    Scene.receiveNumbers(subscriber, 1, 1);
    first.close();
    Connection second = connectAs(scene, scene.name("client"));
    MessageConsumer again = second.createSession().createDurableConsumer(topic, "mine");
    for (String expected : List.of("1 again 2", "2 new 1", "3 new 1")) {
      Check.equal(expected, Acknowledgement.describe(Scene.receive(again)), "what is left");
    }
    Scene.receiveNothing(again);
  }

  private static void oneSubscriber(Scene scene) throws Exception {
    Connection connection = connectAs(scene, scene.name("client"));
    Session session = connection.createSession();
    Topic topic = scene.topic(session, "one");
    MessageConsumer first = session.createDurableSubscriber(topic, "mine");
    Check.fails(
        IllegalStateException.class,
        "a second subscriber",
        () -> connection.createSession().createDurableSubscriber(topic, "mine"));
    first.close();
    connection.createSession().createDurableSubscriber(topic, "mine").close();
  }

  private static void otherSelector(Scene scene) throws Exception {
    Session sending = scene.session();
    Session session = connectAs(scene, scene.name("client")).createSession();
    Topic topic = scene.topic(sending, "selector");
    session.createDurableSubscriber(topic, "mine", "number > 5", false).close();
    sendNumbered(sending, topic, 10);
    MessageConsumer same = session.createDurableSubscriber(topic, "mine", "number > 5", false);
    Scene.receiveNumbers(same, 6, 4);
    same.close();
    sendNumbered(sending, topic, 10);
    MessageConsumer other = session.createDurableSubscriber(topic, "mine", "number > 7", false);
    Scene.receiveNothing(other);
    sendNumbered(sending, topic, 10);
    Scene.receiveNumbers(other, 8, 2);
  }

  private static void sendNumbered(Session session, Topic topic, int count) throws JMSException {
    try (var producer = session.createProducer(topic)) {
      for (int number = 0; number < count; number += 1) {
        TextMessage message = session.createTextMessage(String.valueOf(number));
        message.setIntProperty("number", number);
        producer.send(message);
      }
    }
  }

  private static void unsubscribe(Scene scene) throws Exception {
    Session sending = scene.session();
    Session session = connectAs(scene, scene.name("client")).createSession();
    Topic topic = scene.topic(sending, "unsubscribe");
    MessageConsumer subscriber = session.createDurableSubscriber(topic, "mine");
    Check.fails(
        IllegalStateException.class, "unsubscribe with a subscriber", () -> session.unsubscribe("mine"));
    subscriber.close();
    Scene.sendNumbers(sending, topic, 0, 3);
    session.unsubscribe("mine");
    MessageConsumer again = session.createDurableSubscriber(topic, "mine");
    Scene.receiveNothing(again);
    Scene.sendNumbers(sending, topic, 3, 1);
    Scene.receiveNumbers(again, 3, 1);
    Check.fails(
        InvalidDestinationException.class, "unsubscribe of nothing", () -> session.unsubscribe("absent"));
  }

  private static void needsClientId(Scene scene) throws Exception {
    Session session = scene.session();
    Topic topic = scene.topic(session, "needs");
    Check.fails(
        IllegalStateException.class,
        "a durable subscriber without client id",
        () -> session.createDurableSubscriber(topic, "mine"));
  }

  private static void twoClientIds(Scene scene) throws Exception {
    Session sending = scene.session();
    Topic topic = scene.topic(sending, "two");
    List<MessageConsumer> subscribers = new ArrayList<>();
    for (String clientId : List.of("a", "b")) {
      Session session = connectAs(scene, scene.name(clientId)).createSession();
      subscribers.add(session.createDurableSubscriber(topic, "same name"));
    }
    Check.fails(
        InvalidClientIDException.class,
        "a third connection of the same client id",
        () -> connectAs(scene, scene.name("a")));
    Scene.sendNumbers(sending, topic, 0, 3);
    for (MessageConsumer subscriber : subscribers) Scene.receiveNumbers(subscriber, 0, 3);
  }

  private static void shared(Scene scene) throws Exception {
    Session sending = scene.session();
    Topic topic = scene.topic(sending, "shared");
    String name = scene.name("subscription");
    // Without window, so that the first does not take everything beforehand.
    List<MessageConsumer> subscribers = new ArrayList<>();
    for (int index = 0; index < 3; index += 1) {
      Session session = scene.session("consumerWindowSize=0");
      subscribers.add(session.createSharedConsumer(topic, name));
    }
    MessageConsumer alone = sending.createConsumer(topic);
    Scene.sendNumbers(sending, topic, 0, 30);
    for (int round = 0; round < 10; round += 1) {
      for (int index = 0; index < 3; index += 1) {
        Scene.receiveNumbers(subscribers.get(index), round * 3 + index, 1);
      }
    }
    for (MessageConsumer subscriber : subscribers) Scene.receiveNothing(subscriber);
    Scene.receiveNumbers(alone, 0, 30);
  }

  private static void sharedEnds(Scene scene) throws Exception {
    Session sending = scene.session();
    Topic topic = scene.topic(sending, "ends");
    String name = scene.name("subscription");
    Session session = scene.session();
    MessageConsumer first = session.createSharedConsumer(topic, name);
    MessageConsumer second = session.createSharedConsumer(topic, name);
    first.close();
    Scene.sendNumbers(sending, topic, 0, 2);
    Scene.receiveNumbers(second, 0, 1);
    second.close();
    Scene.sendNumbers(sending, topic, 2, 2);
    MessageConsumer third = session.createSharedConsumer(topic, name);
    Scene.receiveNothing(third);
    Scene.sendNumbers(sending, topic, 4, 1);
    Scene.receiveNumbers(third, 4, 1);
  }

  private static void sharedDurable(Scene scene) throws Exception {
    Session sending = scene.session();
    Topic topic = scene.topic(sending, "shared-durable");
    String name = scene.name("subscription");
    Connection connection = scene.connect();
    Session session = connection.createSession();
    session.createSharedDurableConsumer(topic, name);
    session.createSharedDurableConsumer(topic, name);
    connection.close();
    Scene.sendNumbers(sending, topic, 0, 5);
    Session later = scene.session();
    MessageConsumer subscriber = later.createSharedDurableConsumer(topic, name);
    Scene.receiveNumbers(subscriber, 0, 5);
    subscriber.close();
    later.unsubscribe(name);
  }

  private static void sharedDurableUnsubscribe(Scene scene) throws Exception {
    Session session = connectAs(scene, scene.name("client")).createSession();
    Topic topic = scene.topic(session, "unsubscribe");
    MessageConsumer subscriber = session.createSharedDurableConsumer(topic, "mine", "number > 3");
    Check.fails(
        IllegalStateException.class, "unsubscribe with a subscriber", () -> session.unsubscribe("mine"));
    subscriber.close();
    sendNumbered(session, topic, 6);
    session.unsubscribe("mine");
    subscriber = session.createSharedDurableConsumer(topic, "mine", "number > 3");
    Scene.receiveNothing(subscriber);
    sendNumbered(session, topic, 6);
    Scene.receiveNumbers(subscriber, 4, 2);
  }

  private static void sharedApart(Scene scene) throws Exception {
    Session sending = scene.session();
    Topic topic = scene.topic(sending, "apart");
    String name = scene.name("subscription");
    List<MessageConsumer> subscribers =
        List.of(
            scene.session().createSharedConsumer(topic, name),
            connectAs(scene, scene.name("a")).createSession().createSharedConsumer(topic, name),
            connectAs(scene, scene.name("b")).createSession().createSharedConsumer(topic, name));
    Scene.sendNumbers(sending, topic, 0, 3);
    for (MessageConsumer subscriber : subscribers) Scene.receiveNumbers(subscriber, 0, 3);
  }

  private static void sharedMismatch(Scene scene) throws Exception {
    Session session = scene.session();
    Topic topic = scene.topic(session, "mismatch");
    String name = scene.name("subscription");
    MessageConsumer first = session.createSharedConsumer(topic, name, "number > 3");
    Check.fails(
        JMSException.class,
        "another selector",
        () -> session.createSharedConsumer(topic, name, "number > 4"));
    Check.fails(
        JMSException.class,
        "another topic",
        () -> session.createSharedConsumer(scene.topic(session, "other"), name, "number > 3"));
    sendNumbered(session, topic, 6);
    Scene.receiveNumbers(first, 4, 2);
  }

  private static void noLocal(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession();
    Topic topic = scene.topic(session, "noLocal");
    MessageConsumer subscriber = session.createConsumer(topic, null, true);
    MessageConsumer withLocal = session.createConsumer(topic, null, false);
    Scene.sendNumbers(session, topic, 0, 2);
    Scene.sendNumbers(connection.createSession(), topic, 2, 2);
    Scene.sendNumbers(scene.session(), topic, 4, 2);
    Scene.receiveNumbers(subscriber, 4, 2);
    Scene.receiveNothing(subscriber);
    Scene.receiveNumbers(withLocal, 0, 6);

    Connection named = connectAs(scene, scene.name("client"));
    Session ofNamed = named.createSession();
    MessageConsumer durable = ofNamed.createDurableConsumer(topic, "mine", null, true);
    Scene.sendNumbers(ofNamed, topic, 0, 2);
    Scene.sendNumbers(session, topic, 2, 2);
    Scene.receiveNumbers(durable, 2, 2);
    Scene.receiveNothing(durable);
  }

  private static void selector(Scene scene) throws Exception {
    Session session = scene.session();
    Topic topic = scene.topic(session, "chooses");
    MessageConsumer low = session.createConsumer(topic, "number < 3");
    MessageConsumer high = session.createConsumer(topic, "number >= 3 AND number < 8");
    MessageConsumer none = session.createConsumer(topic, "absent = 1");
    sendNumbered(session, topic, 10);
    Scene.receiveNumbers(low, 0, 3);
    Scene.receiveNumbers(high, 3, 5);
    for (MessageConsumer each : List.of(low, high, none)) Scene.receiveNothing(each);
  }
}
