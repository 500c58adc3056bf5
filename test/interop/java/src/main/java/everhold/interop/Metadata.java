package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.ConnectionMetaData;
import jakarta.jms.IllegalStateException;
import jakarta.jms.InvalidClientIDException;
import jakarta.jms.InvalidDestinationException;
import jakarta.jms.JMSException;
import jakarta.jms.JMSSecurityException;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import java.util.Collections;
import java.util.List;

/** What clients say about themselves, and what connections tell about themselves. */
final class Metadata {
  private Metadata() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("a client id belongs to one connection at a time", Metadata::clientId)
        .add("a client id is free again when its connection is closed", Metadata::clientIdFree)
        .add("a client id comes from the factory too", Metadata::factoryClientId)
        .add("a client id is set before anything else", Metadata::clientIdLate)
        .add("a connection knows its provider and its version of JMS", Metadata::provider)
        .add("a session knows its mode", Metadata::modes)
        .add("a queue and a topic of one name are two destinations", Metadata::destinations)
        .addWith("user", "only who has a password gets in", Metadata::security)
        .run();
  }

  private static void clientId(Scene scene) throws Exception {
    Connection first = scene.connectStopped();
    first.setClientID(scene.name("client"));
    Check.equal(scene.name("client"), first.getClientID(), "the client id");
    Connection second = scene.connectStopped();
    Check.fails(
        InvalidClientIDException.class, "the same id", () -> second.setClientID(scene.name("client")));
    Connection third = scene.connectStopped();
    third.setClientID(scene.name("other"));
    Check.equal(null, scene.connectStopped().getClientID(), "the id of who has none");
  }

  private static void clientIdFree(Scene scene) throws Exception {
    for (int round = 0; round < 20; round += 1) {
      Connection connection = scene.connectStopped();
      connection.setClientID(scene.name("client"));
      connection.start();
      connection.createSession();
      connection.close();
    }
  }

  private static void factoryClientId(Scene scene) throws Exception {
    String parameter = "clientID=" + scene.name("client");
    Connection first = scene.connect(parameter);
    Check.equal(scene.name("client"), first.getClientID(), "the client id");
    Check.fails(InvalidClientIDException.class, "the same id", () -> scene.connect(parameter));
    first.close();
    scene.connect(parameter);
  }

  private static void clientIdLate(Scene scene) throws Exception {
    Connection connection = scene.connectStopped();
    connection.createSession();
    Check.fails(
        IllegalStateException.class, "an id after a session", () -> connection.setClientID("late"));
  }

  private static void provider(Scene scene) throws Exception {
    ConnectionMetaData data = scene.connect().getMetaData();
    Check.equal("ActiveMQ", data.getJMSProviderName(), "the provider");
    Check.that(data.getJMSMajorVersion() >= 2, "the version is " + data.getJMSVersion());
    Check.that(data.getProviderVersion().startsWith("2."), "it is " + data.getProviderVersion());
    List<?> names = Collections.list(data.getJMSXPropertyNames());
    Check.that(names.contains("JMSXGroupID"), "the names are " + names);
    Check.that(names.contains("JMSXDeliveryCount"), "the names are " + names);
  }

  private static void modes(Scene scene) throws Exception {
    Connection connection = scene.connect();
    for (int mode : new int[] {0, 1, 2, 3, 100, 101}) {
      Session session = connection.createSession(mode);
      Check.equal(mode, session.getAcknowledgeMode(), "the mode");
      Check.equal(mode == 0, session.getTransacted(), "transacted");
    }
  }

  private static void destinations(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "queue");
    Scene.sendNumbers(session, queue, 0, 1);
    Check.equal(scene.name("queue"), queue.getQueueName(), "the name");
    Check.equal(queue, session.createQueue(scene.name("queue")), "a queue of the same name");
    Check.fails(InvalidDestinationException.class, "no name", () -> session.createConsumer(null));
    Check.fails(
        JMSException.class,
        "a subscription without a name",
        () -> session.createSharedConsumer(scene.topic(session, "topic"), null));
  }

  /** On a broker with users, one of which the options {@code user} and {@code password} name. */
  private static void security(Scene scene) throws Exception {
    String user = scene.option("user");
    String password = scene.option("password");
    for (String wrong : new String[] {"wrong", "", null}) {
      Check.fails(
          JMSSecurityException.class,
          "the password " + wrong,
          () -> scene.keep(scene.factory().createConnection(user, wrong)));
    }
    Check.fails(
        JMSSecurityException.class,
        "an unknown user",
        () -> scene.keep(scene.factory().createConnection("nobody", password)));
    Check.fails(JMSSecurityException.class, "no user", () -> scene.connect());
    Connection connection = scene.keep(scene.factory().createConnection(user, password));
    connection.start();
    Session session = connection.createSession();
    Queue queue = scene.queue(session, "secured");
    Scene.sendNumbers(session, queue, 0, 1);
    Scene.receiveNumbers(session.createConsumer(queue), 0, 1);
  }
}
