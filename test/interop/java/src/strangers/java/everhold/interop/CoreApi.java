package everhold.interop;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.activemq.artemis.api.core.ActiveMQDuplicateIdException;
import org.apache.activemq.artemis.api.core.ActiveMQException;
import org.apache.activemq.artemis.api.core.ActiveMQQueueExistsException;
import org.apache.activemq.artemis.api.core.ActiveMQQueueMaxConsumerLimitReached;
import org.apache.activemq.artemis.api.core.Message;
import org.apache.activemq.artemis.api.core.QueueConfiguration;
import org.apache.activemq.artemis.api.core.RoutingType;
import org.apache.activemq.artemis.api.core.SimpleString;
import org.apache.activemq.artemis.api.core.client.ClientConsumer;
import org.apache.activemq.artemis.api.core.client.ClientMessage;
import org.apache.activemq.artemis.api.core.client.ClientProducer;
import org.apache.activemq.artemis.api.core.client.ClientRequestor;
import org.apache.activemq.artemis.api.core.client.ClientSession;
import org.apache.activemq.artemis.api.core.management.ManagementHelper;
import org.apache.activemq.artemis.api.core.management.ResourceNames;

/** Artemis' own interface below JMS, which shows what JMS hides. */
final class CoreApi {
  private static final int LARGE_BYTES = 3_000_000;

  private CoreApi() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("a handler is told of every send that was taken", CoreApi::handler)
        .add("a stream goes in and comes out as it was", CoreApi::streams)
        .add("large messages that nobody read, or that were given back, hold up nothing", CoreApi::unread)
        .add("a large message is passed on as it came", CoreApi::passedOn)
        .add("what was rolled back comes again with its count, in order", CoreApi::rollback)
        .add("messages are acknowledged one by one", CoreApi::individually)
        .add("consumers without a window take turns, also over a large message", CoreApi::windowless)
        .add("a browser with a filter takes nothing and sees what comes later", CoreApi::browser)
        .add("a routing type chooses the queues, a full name one of them", CoreApi::routing)
        .add("a duplicate is dropped, and fails its transaction", CoreApi::duplicates)
        .add("a consumer of a higher priority comes first", CoreApi::priority)
        .add("a queue is described with the attributes that it was made with", CoreApi::attributes)
        .add("a requestor manages the broker", CoreApi::management)
        .run();
  }

  private static ClientSession session(Scene scene, boolean isAutomatic, String... parameters) throws Exception {
    var locator = scene.factory(parameters).getServerLocator();
    ClientSession session = locator.createSessionFactory().createSession(isAutomatic, isAutomatic, 0);
    session.start();
    return session;
  }

  /** Makes an anycast queue of this case's own and gives its name. */
  private static String queue(Scene scene, ClientSession session, String suffix) throws ActiveMQException {
    session.createQueue(QueueConfiguration.of(scene.name(suffix)).setRoutingType(RoutingType.ANYCAST));
    return scene.name(suffix);
  }

  private static ClientMessage text(ClientSession session, String text) {
    ClientMessage message = session.createMessage(Message.TEXT_TYPE, true);
    message.getBodyBuffer().writeNullableSimpleString(SimpleString.of(text));
    return message;
  }

  private static ClientMessage stream(ClientSession session, byte[] body) {
    ClientMessage message = session.createMessage(true);
    message.setBodyInputStream(new ByteArrayInputStream(body));
    return message;
  }

  private static ClientMessage receive(ClientConsumer consumer) throws ActiveMQException {
    ClientMessage message = consumer.receive(Scene.WAIT_MS);
    Check.that(message != null, "no message came within " + Scene.WAIT_MS + " ms");
    return message;
  }

  private static String textOf(ClientMessage message) {
    return message.getBodyBuffer().readNullableSimpleString().toString();
  }

  private static byte[] streamOf(ClientMessage message) throws ActiveMQException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    message.saveToOutputStream(out);
    return out.toByteArray();
  }

  private static byte[] body() {
    byte[] body = new byte[LARGE_BYTES];
    new Random(5).nextBytes(body);
    return body;
  }

  private static long count(ClientSession session, String queue) throws ActiveMQException {
    return session.queueQuery(SimpleString.of(queue)).getMessageCount();
  }

  private static void handler(Scene scene) throws Exception {
    ClientSession session = session(scene, true, "confirmationWindowSize=1048576");
    String queue = queue(scene, session, "told");
    int count = 200;
    CountDownLatch ofSession = new CountDownLatch(count);
    CountDownLatch ofSends = new CountDownLatch(count);
    session.setSendAcknowledgementHandler(message -> ofSession.countDown());
    ClientProducer producer = session.createProducer(queue);
    for (int number = 0; number < count; number += 1) producer.send(text(session, "mute"));
    for (int number = 0; number < count; number += 1) {
      producer.send(text(session, "told"), message -> ofSends.countDown());
    }
    Check.that(ofSession.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), ofSession.getCount() + " untold");
    Check.that(ofSends.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), ofSends.getCount() + " untold");
    BlockingQueue<String> received = new LinkedBlockingQueue<>();
    session.createConsumer(queue).setMessageHandler(message -> received.add(textOf(message)));
    for (int number = 0; number < 2 * count; number += 1) {
      String next = received.poll(Scene.WAIT_MS, TimeUnit.MILLISECONDS);
      Check.equal(number < count ? "mute" : "told", next, "message " + number);
    }
  }

  private static void streams(Scene scene) throws Exception {
    ClientSession session = session(scene, true);
    String queue = queue(scene, session, "streams");
    byte[] body = body();
    ClientProducer producer = session.createProducer(queue);
    for (int time = 0; time < 3; time += 1) {
      producer.send(stream(session, body).putStringProperty("colour", "red"));
    }
    ClientConsumer consumer = session.createConsumer(queue, "colour = 'red'");
    Check.equal(body, streamOf(receive(consumer).acknowledge()), "the saved stream");
    ClientMessage message = receive(consumer);
    Check.equal(LARGE_BYTES, message.getBodySize(), "the size");
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    message.setOutputStream(out);
    Check.that(message.waitOutputStreamCompletion(Scene.WAIT_MS), "the stream did not end");
    Check.equal(body, out.toByteArray(), "the stream that was set");
    byte[] read = new byte[LARGE_BYTES];
    receive(consumer).getBodyBuffer().readBytes(read);
    Check.equal(body, read, "the buffer");
    producer.send(stream(session, new byte[0]).putStringProperty("colour", "red"));
    Check.equal(0, receive(consumer).getBodySize(), "the size of nothing");
  }

  private static void unread(Scene scene) throws Exception {
    ClientSession session = session(scene, true);
    String queue = queue(scene, session, "unread");
    byte[] body = body();
    for (int number = 0; number < 3; number += 1) {
      session.createProducer(queue).send(stream(session, body).putIntProperty("number", number));
    }
    ClientConsumer consumer = session.createConsumer(queue);
    Check.equal(0, receive(consumer).acknowledge().getIntProperty("number"), "the first");
    Check.equal(1, receive(consumer).getIntProperty("number"), "the second");
    consumer.close();
    ClientSession transacted = session(scene, false);
    consumer = transacted.createConsumer(queue);
    Check.equal(1, receive(consumer).acknowledge().getIntProperty("number"), "the second again");
    transacted.rollback();
    ClientMessage again = receive(consumer);
    Check.equal(1, again.getIntProperty("number"), "the second after the rollback");
    Check.equal(body, streamOf(again), "its body");
    Check.equal(2, receive(consumer).acknowledge().getIntProperty("number"), "the third");
    transacted.commit();
    Check.equal(0L, count(session, queue), "the count of messages");
  }

  private static void passedOn(Scene scene) throws Exception {
    ClientSession session = session(scene, true);
    String first = queue(scene, session, "first");
    String second = queue(scene, session, "second");
    byte[] body = body();
    session.createProducer(first).send(stream(session, body).putStringProperty("colour", "red"));
    session.createProducer(second).send(receive(session.createConsumer(first)));
    ClientMessage message = receive(session.createConsumer(second));
    Check.equal("red", message.getStringProperty("colour"), "the property");
    Check.equal(body, streamOf(message), "the body");
  }

  private static void rollback(Scene scene) throws Exception {
    ClientSession session = session(scene, false);
    String queue = queue(scene, session, "rollback");
    for (String name : List.of("a", "b", "c", "d")) session.createProducer(queue).send(text(session, name));
    ClientConsumer consumer = session.createConsumer(queue);
    Check.equal(null, consumer.receiveImmediate(), "what is not committed");
    session.commit();
    for (String name : List.of("a", "b")) Check.equal(name, textOf(receive(consumer).acknowledge()), "the message");
    session.rollback();
    for (String name : List.of("a 2", "b 2", "c 1", "d 1")) {
      ClientMessage message = receive(consumer);
      Check.equal(name, textOf(message) + " " + message.getDeliveryCount(), "the message and its count");
      message.acknowledge();
    }
    session.commit();
    Check.equal(0L, count(session, queue), "the count of messages");
  }

  private static void individually(Scene scene) throws Exception {
    ClientSession session = session(scene, true);
    String queue = queue(scene, session, "one");
    ClientProducer producer = session.createProducer(queue);
    for (int number = 0; number < 9; number += 1) producer.send(text(session, String.valueOf(number)));
    ClientConsumer consumer = session.createConsumer(queue);
    for (int number = 0; number < 9; number += 1) {
      ClientMessage message = receive(consumer);
      if (number % 3 == 1) message.individualAcknowledge();
    }
    consumer.close();
    consumer = session.createConsumer(queue);
    for (String name : List.of("0", "2", "3", "5", "6", "8")) {
      Check.equal(name, textOf(receive(consumer).acknowledge()), "what was left");
    }
    Check.equal(null, consumer.receiveImmediate(), "what is left then");
  }

  private static void windowless(Scene scene) throws Exception {
    ClientSession session = session(scene, true, "consumerWindowSize=0");
    String queue = queue(scene, session, "zero");
    ClientProducer producer = session.createProducer(queue);
    for (int number = 0; number < 6; number += 1) producer.send(text(session, String.valueOf(number)));
    ClientConsumer[] consumers = {session.createConsumer(queue), session.createConsumer(queue)};
    for (int number = 0; number < 6; number += 1) {
      ClientMessage message = receive(consumers[number % 2]).acknowledge();
      Check.equal(String.valueOf(number), textOf(message), "the message");
    }
    Check.equal(null, consumers[0].receiveImmediate(), "the message of the emptied queue");
    byte[] body = body();
    producer.send(stream(session, body));
    producer.send(text(session, "after"));
    ClientMessage large = receive(consumers[0]);
    Check.equal("after", textOf(receive(consumers[1]).acknowledge()), "the other consumer's message");
    Check.equal(body, streamOf(large), "the large message");
  }

  private static void browser(Scene scene) throws Exception {
    ClientSession session = session(scene, true);
    String queue = queue(scene, session, "browsed");
    ClientProducer producer = session.createProducer(queue);
    for (int number = 0; number < 5; number += 1) {
      producer.send(text(session, String.valueOf(number)).putIntProperty("number", number));
    }
    ClientConsumer browser = session.createConsumer(queue, "number > 2", true);
    for (String name : List.of("3", "4")) Check.equal(name, textOf(receive(browser)), "the message");
    Check.equal(null, browser.receiveImmediate(), "what is browsed then");
    producer.send(text(session, "late").putIntProperty("number", 9));
    Check.equal("late", textOf(receive(browser)), "what came later");
    Check.equal(6L, count(session, queue), "the count of messages");
  }

  private static void routing(Scene scene) throws Exception {
    ClientSession session = session(scene, true);
    String address = scene.name("both");
    session.createAddress(SimpleString.of(address), EnumSet.allOf(RoutingType.class), false);
    List<String> names = List.of("a1", "a2", "m1", "m2");
    for (String name : names) {
      RoutingType type = name.startsWith("a") ? RoutingType.ANYCAST : RoutingType.MULTICAST;
      session.createQueue(
          QueueConfiguration.of(scene.name(name)).setAddress(address).setRoutingType(type));
    }
    ClientProducer producer = session.createProducer(address);
    List<Long> counts = new ArrayList<>();
    for (RoutingType type : Arrays.asList(null, RoutingType.ANYCAST, RoutingType.MULTICAST)) {
      for (int time = 0; time < 4; time += 1) producer.send(text(session, "").setRoutingType(type));
      for (String name : names) counts.add(count(session, scene.name(name)));
    }
    session.createProducer(address + "::" + scene.name("m2")).send(text(session, "one"));
    for (String name : names) counts.add(count(session, scene.name(name)));
    Check.equal(
        List.of(2L, 2L, 4L, 4L, 4L, 4L, 4L, 4L, 4L, 4L, 8L, 8L, 4L, 4L, 8L, 9L),
        counts,
        "the counts after each lot");
  }

  private static void duplicates(Scene scene) throws Exception {
    ClientSession session = session(scene, true);
    String queue = queue(scene, session, "duplicates");
    for (String id : List.of("x", "x", "y")) session.createProducer(queue).send(identified(session, id));
    Check.equal(2L, count(session, queue), "the count of messages");
    ClientSession transacted = session(scene, false);
    ClientProducer producer = transacted.createProducer(queue);
    producer.send(identified(transacted, "z"));
    transacted.rollback();
    producer.send(identified(transacted, "z"));
    transacted.commit();
    producer.send(text(transacted, "other"));
    producer.send(identified(transacted, "z"));
    Check.fails(ActiveMQDuplicateIdException.class, "a commit with a duplicate", transacted::commit);
    transacted.rollback();
    Check.equal(3L, count(session, queue), "the count of messages");
  }

  private static ClientMessage identified(ClientSession session, String id) {
    ClientMessage message = text(session, id);
    message.putStringProperty(Message.HDR_DUPLICATE_DETECTION_ID, SimpleString.of(id));
    return message;
  }

  private static void priority(Scene scene) throws Exception {
    ClientSession session = session(scene, true);
    SimpleString queue = SimpleString.of(queue(scene, session, "priority"));
    ClientConsumer low = session.createConsumer(queue, null, 1, 100_000, -1, false);
    ClientConsumer high = session.createConsumer(queue, null, 5, 100_000, -1, false);
    for (int time = 0; time < 10; time += 1) session.createProducer(queue).send(text(session, ""));
    for (int time = 0; time < 10; time += 1) receive(high);
    Check.equal(null, low.receiveImmediate(), "the message of the lower priority");
  }

  private static void attributes(Scene scene) throws Exception {
    ClientSession session = session(scene, true);
    String name = scene.name("made");
    QueueConfiguration wanted =
        QueueConfiguration.of(name)
            .setAddress(scene.name("address"))
            .setRoutingType(RoutingType.MULTICAST)
            .setFilterString("x = 1")
            .setMaxConsumers(2)
            .setExclusive(false)
            .setAutoDelete(false);
    session.createQueue(wanted);
    ClientSession.QueueQuery found = session.queueQuery(SimpleString.of(name));
    Check.equal("x = 1", String.valueOf(found.getFilterString()), "the filter");
    Check.equal(2, found.getMaxConsumers(), "how many consumers it takes");
    Check.equal(RoutingType.MULTICAST, found.getRoutingType(), "the routing type");
    Check.that(found.isDurable() && !found.isAutoCreated() && !found.isTemporary(), "other attributes: " + found);
    var address = session.addressQuery(SimpleString.of(scene.name("address")));
    Check.equal(List.of(SimpleString.of(name)), address.getQueueNames(), "the queues of the address");
    Check.fails(ActiveMQQueueExistsException.class, "making it again", () -> session.createQueue(wanted));
    for (int time = 0; time < 2; time += 1) session.createConsumer(name);
    Check.fails(
        ActiveMQQueueMaxConsumerLimitReached.class, "a third consumer", () -> session.createConsumer(name));
    session.createSharedQueue(wanted.setName(scene.name("shared")));
    session.createSharedQueue(wanted.setName(scene.name("shared")));
    Check.that(!session.queueQuery(SimpleString.of(scene.name("none"))).isExists(), "a queue that is not there");
  }

  private static void management(Scene scene) throws Exception {
    ClientSession session = session(scene, true);
    String queue = queue(scene, session, "managed");
    session.createProducer(queue).send(text(session, ""));
    ClientRequestor requestor = new ClientRequestor(session, "activemq.management");
    ClientMessage request = session.createMessage(false);
    ManagementHelper.putAttribute(request, ResourceNames.QUEUE + queue, "messageCount");
    ClientMessage reply = requestor.request(request, Scene.WAIT_MS);
    Check.equal(1L, ManagementHelper.getResult(reply, Long.class), "the count of messages");
    request = session.createMessage(false);
    ManagementHelper.putOperationInvocation(request, ResourceNames.QUEUE + queue, "removeAllMessages");
    Check.that(ManagementHelper.hasOperationSucceeded(requestor.request(request, Scene.WAIT_MS)), "it failed");
    Check.equal(0L, count(session, queue), "the count of messages");
    requestor.close();
  }
}
