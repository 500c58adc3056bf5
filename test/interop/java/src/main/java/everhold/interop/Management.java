package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.Destination;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TemporaryQueue;
import java.util.Map;
import org.apache.activemq.artemis.api.core.management.SimpleManagement;
import org.apache.activemq.artemis.api.jms.management.JMSManagementHelper;

/** Management as Java programs do it: with the helpers for JMS and for the core API, and notifications. */
final class Management {
  private static final String BROKER = "broker";

  private Management() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("JMS: attributes have the types that Java expects", Management::attributes)
        .add("JMS: operations change the broker", Management::operations)
        .add("JMS: what is not done says why", Management::failures)
        .add("JMS: in a transaction the reply comes with the commit", Management::transacted)
        .add("SimpleManagement reads counts", Management::simple)
        .add("a topic consumer is told of consumers and queues", Management::notifications)
        .run();
  }

  private static void attributes(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "read");
    Scene.sendNumbers(session, queue, 0, 3);
    String resource = "queue." + scene.name("read");
    Asker asker = new Asker(session);
    Check.equal(true, asker.read(BROKER, "started"), "whether the broker is started");
    Check.equal(3L, asker.read(resource, "messageCount"), "the count of messages");
    Check.equal("ANYCAST", asker.read(resource, "RoutingType"), "the routing type");
    Check.equal(null, asker.read(resource, "Filter"), "the filter");
    Check.equal(true, asker.read(resource, "durable"), "whether the queue is durable");
    Object[] names = (Object[]) asker.read("address." + scene.name("read"), "QueueNames");
    Check.equal(new Object[] {scene.name("read")}, names, "the names of the queues");
  }

  private static void operations(Scene scene) throws Exception {
    Session session = scene.session();
    Asker asker = new Asker(session);
    String name = scene.name("made");
    asker.call(BROKER, "createQueue", name, "ANYCAST", name, "", true, 2, false, true);
    Queue queue = session.createQueue(name);
    Scene.sendNumbers(session, queue, 0, 5);
    Check.equal(5L, asker.call("queue." + name, "countMessages", ""), "the count by a filter");
    Check.equal(true, asker.call("queue." + name, "listMessagesAsJSON", "").toString().startsWith("[{"),
        "whether messages are listed as JSON");
    asker.call("queue." + name, "pause");
    MessageConsumer consumer = session.createConsumer(queue);
    Scene.receiveNothing(consumer);
    asker.call("queue." + name, "resume");
    Scene.receiveNumbers(consumer, 0, 5);
    consumer.close();
    asker.call(BROKER, "destroyQueue", name, true, true);
    Object[] names = (Object[]) asker.call(BROKER, "getQueueNames");
    for (Object each : names) Check.that(!name.equals(each), "the queue is still there");
  }

  private static void failures(Scene scene) throws Exception {
    Asker asker = new Asker(scene.session());
    Message reply = asker.ask(asker.operation("queue.none", "pause"));
    Check.equal(false, JMSManagementHelper.hasOperationSucceeded(reply), "whether a missing queue was paused");
    String reason = (String) JMSManagementHelper.getResult(reply);
    Check.that(reason.contains("\"none\""), "the reason does not name the queue: " + reason);
    reply = asker.ask(asker.operation(BROKER, "createAddress", 1, 2));
    Check.equal(false, JMSManagementHelper.hasOperationSucceeded(reply), "whether an address was created");
    reason = (String) JMSManagementHelper.getResult(reply);
    Check.that(reason.contains("routingTypes: string"), "the reason does not say what is right: " + reason);
    Check.equal(true, asker.read(BROKER, "active"), "whether the session lives on");
  }

  private static void transacted(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession(true, Session.SESSION_TRANSACTED);
    Asker asker = new Asker(session);
    String name = scene.name("transacted");
    asker.send(asker.operation(BROKER, "createAddress", name, "MULTICAST"));
    Scene.receiveNothing(asker.replies);
    session.commit();
    Message reply = Scene.receive(asker.replies);
    Check.equal(true, JMSManagementHelper.hasOperationSucceeded(reply), "whether the address was created");
    session.commit();
    asker.send(asker.operation(BROKER, "deleteAddress", name));
    session.rollback();
    Scene.receiveNothing(asker.replies);
  }

  private static void simple(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "counted");
    Scene.sendNumbers(session, queue, 0, 4);
    String name = scene.name("counted");
    SimpleManagement management =
        new SimpleManagement(scene.url(), scene.option("user"), scene.option("password")).open();
    try {
      Check.that(!management.getNodeID().isEmpty(), "the broker has no id");
      Check.that(management.getCurrentTimeMillis() > 0, "the broker has no time");
      Check.equal(4L, management.getMessageCountOnQueue(name), "the count of messages");
      long added = management.simpleManagementLong("queue." + name, "getMessagesAdded");
      Check.equal(4L, added, "the count of messages that came");
      Map<String, Long> counts = management.getQueueCounts(1_000);
      Check.equal(4L, counts.get(name), "the count of messages in the list of queues");
      Check.that(management.listNetworkTopology().size() == 1, "the broker is not alone");
    } finally {
      management.close();
    }
  }

  private static void notifications(Scene scene) throws Exception {
    Session session = scene.session();
    Destination topic = session.createTopic("activemq.notifications");
    String filter = "_AMQ_RoutingName = '" + scene.name("watched") + "'";
    MessageConsumer told = session.createConsumer(topic, filter);
    Session other = scene.session();
    MessageConsumer consumer = other.createConsumer(scene.queue(other, "watched"));
    Message added = Scene.receive(told);
    Check.equal("BINDING_ADDED", added.getStringProperty("_AMQ_NotifType"), "the first notification");
    Check.equal(scene.name("watched"), added.getStringProperty("_AMQ_Address"), "its address");
    Message created = Scene.receive(told);
    Check.equal("CONSUMER_CREATED", created.getStringProperty("_AMQ_NotifType"), "the second notification");
    Check.equal(1, created.getIntProperty("_AMQ_ConsumerCount"), "its count of consumers");
    Check.that(created.getLongProperty("_AMQ_NotifTimestamp") > 0, "it does not say when");
    consumer.close();
    Message closed = Scene.receive(told);
    Check.equal("CONSUMER_CLOSED", closed.getStringProperty("_AMQ_NotifType"), "the third notification");
  }

  /** Sends requests and takes replies on a session's own temporary queue. */
  static final class Asker {
    final MessageConsumer replies;
    private final Session session;
    private final MessageProducer producer;
    private final TemporaryQueue replyTo;

    Asker(Session session) throws Exception {
      this.session = session;
      producer = session.createProducer(session.createQueue("activemq.management"));
      replyTo = session.createTemporaryQueue();
      replies = session.createConsumer(replyTo);
    }

    Message operation(String resource, String name, Object... parameters) throws Exception {
      Message message = session.createMessage();
      JMSManagementHelper.putOperationInvocation(message, resource, name, parameters);
      return message;
    }

    void send(Message message) throws Exception {
      message.setJMSReplyTo(replyTo);
      producer.send(message);
    }

    Message ask(Message message) throws Exception {
      send(message);
      Message reply = Scene.receive(replies);
      Check.equal(message.getJMSMessageID(), "ID:" + reply.getJMSCorrelationID(), "what the reply belongs to");
      return reply;
    }

    Object call(String resource, String name, Object... parameters) throws Exception {
      return succeeded(ask(operation(resource, name, parameters)));
    }

    Object read(String resource, String attribute) throws Exception {
      Message message = session.createMessage();
      JMSManagementHelper.putAttribute(message, resource, attribute);
      return succeeded(ask(message));
    }

    private static Object succeeded(Message reply) throws Exception {
      Object result = JMSManagementHelper.getResult(reply);
      Check.that(JMSManagementHelper.hasOperationSucceeded(reply), "the request failed: " + result);
      return result;
    }
  }
}
