package everhold.interop;

import jakarta.jms.ConnectionFactory;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageListener;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.springframework.jms.connection.CachingConnectionFactory;
import org.springframework.jms.core.JmsTemplate;
import org.springframework.jms.listener.DefaultMessageListenerContainer;
import org.springframework.jms.listener.SessionAwareMessageListener;

/**
 * Spring's template and listener container as applications configure them: cached connections, transacted
 * sessions, ten listeners. The cases that need a broker that ends ask for it as those of {@link BrokerStops} do.
 */
final class SpringListeners {
  private static final int LISTENERS = 10;
  private static final long LIMIT_MS = 300_000;

  private SpringListeners() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("10,000 messages are processed once each", LIMIT_MS, SpringListeners::onceEach)
        .add("a template sends and receives within its time limit", SpringListeners::template)
        .add("a template gets the reply to its request", SpringListeners::reply)
        .add("a listener forwards in its own transaction, each message once", LIMIT_MS, SpringListeners::forward)
        .add("a listener that fails sees the message again until it is a dead letter", SpringListeners::deadLetter)
        .add("a container with a durable subscription misses nothing", SpringListeners::subscription)
        .add("a container stops and starts in the middle, each message once", LIMIT_MS, SpringListeners::restart)
        .addWith("restarts", "a container outlives a broker that is killed", scene -> outlive(scene, "kill"))
        .addWith("restarts", "a container outlives a broker that is stopped", scene -> outlive(scene, "stop"))
        .run();
  }

  private static CachingConnectionFactory connections(Scene scene, String... parameters) throws JMSException {
    CachingConnectionFactory connections = new CachingConnectionFactory(scene.factory(parameters));
    connections.setSessionCacheSize(LISTENERS);
    // A container keeps its consumers itself.
    connections.setCacheConsumers(false);
    return connections;
  }

  private static DefaultMessageListenerContainer container(
      ConnectionFactory connections, String destination, Object listener) {
    DefaultMessageListenerContainer container = new DefaultMessageListenerContainer();
    container.setConnectionFactory(connections);
    container.setDestinationName(destination);
    container.setSessionTransacted(true);
    container.setConcurrentConsumers(LISTENERS);
    container.setMaxConcurrentConsumers(LISTENERS);
    container.setRecoveryInterval(200);
    container.setMessageListener(listener);
    // What a listener throws on purpose need not be told.
    container.setErrorHandler(error -> {});
    return container;
  }

  private static void start(DefaultMessageListenerContainer container) {
    container.afterPropertiesSet();
    container.start();
  }

  /** Sends numbers as text, some hundred in a transaction. */
  private static void sendNumbers(JmsTemplate template, String queue, int count) {
    for (int first = 0; first < count; first += 500) {
      int from = first;
      template.execute(
          session -> {
            int size = Math.min(500, count - from);
            Scene.sendNumbers(session, session.createQueue(queue), from, size);
            session.commit();
            return null;
          });
    }
  }

  private static JmsTemplate transactedTemplate(ConnectionFactory connections) {
    JmsTemplate template = new JmsTemplate(connections);
    template.setSessionTransacted(true);
    return template;
  }

  /** What listeners have processed, and how often. */
  private static final class Ledger implements MessageListener {
    final Map<String, Integer> processed = new ConcurrentHashMap<>();
    final CountDownLatch rest;
    final List<String> wrong = new CopyOnWriteArrayList<>();
    volatile boolean expectsMarks = true;

    Ledger(int count) {
      rest = new CountDownLatch(count);
    }

    @Override
    public void onMessage(Message message) {
      String text = Delivery.textOf(message);
      int times = processed.merge(text, 1, Integer::sum);
      try {
        boolean isMarked = message.getJMSRedelivered();
        if (times > 1 && !isMarked && expectsMarks) wrong.add(text + " came again and is not marked");
      } catch (JMSException error) {
        wrong.add(error.toString());
      }
      if (times == 1) rest.countDown();
    }

    void await() throws Exception {
      boolean isDone = rest.await(LIMIT_MS / 2, TimeUnit.MILLISECONDS);
      Check.that(isDone, rest.getCount() + " were never processed");
      Check.equal(List.of(), wrong, "what is wrong");
    }

    Set<String> repeated() {
      Set<String> repeated = new TreeSet<>();
      processed.forEach((text, times) -> {
        if (times > 1) repeated.add(text);
      });
      return repeated;
    }
  }

  private static void expectEmpty(Scene scene, String queue) throws JMSException {
    Session session = scene.session();
    try (MessageConsumer consumer = session.createConsumer(session.createQueue(queue))) {
      Scene.receiveNothing(consumer);
    }
  }

  private static void onceEach(Scene scene) throws Exception {
    int count = 10_000;
    String queue = scene.name("once");
    CachingConnectionFactory connections = connections(scene);
    Ledger ledger = new Ledger(count);
    DefaultMessageListenerContainer container = container(connections, queue, ledger);
    start(container);
    sendNumbers(transactedTemplate(connections), queue, count);
    ledger.await();
    container.shutdown();
    Check.equal(Set.of(), ledger.repeated(), "what was processed more than once");
    Check.equal(count, ledger.processed.size(), "the count of messages");
    expectEmpty(scene, queue);
    connections.destroy();
  }

  private static void template(Scene scene) throws Exception {
    CachingConnectionFactory connections = connections(scene);
    JmsTemplate template = new JmsTemplate(connections);
    template.setDefaultDestinationName(scene.name("template"));
    template.setReceiveTimeout(200);
    Check.equal(null, template.receive(), "the message of an empty queue");
    template.convertAndSend("text");
    template.convertAndSend((Object) Map.of("key", "value"));
    template.convertAndSend(
        "chosen",
        message -> {
          message.setIntProperty("number", 5);
          message.setJMSCorrelationID("correlated");
          return message;
        });
    template.setReceiveTimeout(Scene.WAIT_MS);
    TextMessage chosen = (TextMessage) template.receiveSelected("number = 5");
    Check.equal("chosen", chosen.getText(), "the chosen message");
    Check.equal("correlated", chosen.getJMSCorrelationID(), "its correlation id");
    Check.equal("text", template.receiveAndConvert(), "the first message");
    Check.equal(Map.of("key", "value"), template.receiveAndConvert(), "the second message");
    template.setReceiveTimeout(JmsTemplate.RECEIVE_TIMEOUT_NO_WAIT);
    Check.equal(null, template.receive(), "what is left");
    for (int number = 0; number < 100; number += 1) {
      template.convertAndSend(String.valueOf(number));
      Check.equal(String.valueOf(number), template.receiveAndConvert(), "the next message");
    }
    template.setExplicitQosEnabled(true);
    template.setPriority(8);
    template.setTimeToLive(600_000);
    template.setDeliveryPersistent(false);
    template.convertAndSend("with settings");
    Message found = template.receive();
    Check.equal(8, found.getJMSPriority(), "the priority");
    Check.equal(jakarta.jms.DeliveryMode.NON_PERSISTENT, found.getJMSDeliveryMode(), "the mode");
    connections.destroy();
  }

  private static void reply(Scene scene) throws Exception {
    String queue = scene.name("requests");
    CachingConnectionFactory connections = connections(scene);
    SessionAwareMessageListener<TextMessage> answering =
        (request, session) -> {
          try (var producer = session.createProducer(request.getJMSReplyTo())) {
            TextMessage reply = session.createTextMessage("re: " + request.getText());
            reply.setJMSCorrelationID(request.getJMSMessageID());
            producer.send(reply);
          }
        };
    DefaultMessageListenerContainer container = container(connections, queue, answering);
    start(container);
    JmsTemplate template = new JmsTemplate(connections);
    template.setReceiveTimeout(Scene.WAIT_MS);
    for (int number = 0; number < 50; number += 1) {
      String text = String.valueOf(number);
      Message reply = template.sendAndReceive(queue, session -> session.createTextMessage(text));
      Check.that(reply != null, "no reply came");
      Check.equal("re: " + text, ((TextMessage) reply).getText(), "the reply");
    }
    container.shutdown();
    connections.destroy();
  }

  private static void forward(Scene scene) throws Exception {
    int count = 1_000;
    String source = scene.name("source");
    String target = scene.name("target");
    CachingConnectionFactory connections = connections(scene);
    // The template takes the session of the listener around it, and so its transaction.
    JmsTemplate template = transactedTemplate(connections);
    MessageListener forwarding =
        message -> {
          String text = Delivery.textOf(message);
          template.convertAndSend(target, text);
          try {
            boolean isFirst = !message.getJMSRedelivered();
            if (isFirst && Integer.parseInt(text) % 10 == 0) throw new IllegalStateException("on purpose");
          } catch (JMSException error) {
            throw new IllegalStateException(error);
          }
        };
    Ledger ledger = new Ledger(count);
    DefaultMessageListenerContainer first = container(connections, source, forwarding);
    DefaultMessageListenerContainer second = container(connections, target, ledger);
    start(second);
    start(first);
    sendNumbers(transactedTemplate(connections), source, count);
    ledger.await();
    Thread.sleep(Scene.QUIET_MS);
    first.shutdown();
    second.shutdown();
    Check.equal(Set.of(), ledger.repeated(), "what was forwarded more than once");
    Check.equal(count, ledger.processed.size(), "the count of messages");
    expectEmpty(scene, source);
    connections.destroy();
  }

  private static void deadLetter(Scene scene) throws Exception {
    String queue = scene.name("dead");
    CachingConnectionFactory connections = connections(scene);
    List<String> seen = new CopyOnWriteArrayList<>();
    MessageListener failing =
        message -> {
          String found = Acknowledgement.describe(message);
          if (!found.startsWith("poison")) return;
          seen.add(found);
          throw new IllegalStateException("on purpose");
        };
    DefaultMessageListenerContainer container = container(connections, queue, failing);
    start(container);
    JmsTemplate template = new JmsTemplate(connections);
    template.convertAndSend(queue, "poison");
    for (int number = 0; number < 20; number += 1) template.convertAndSend(queue, "good " + number);
    template.setReceiveTimeout(Scene.WAIT_MS);
    Message letter = template.receiveSelected("DLQ", "_AMQ_ORIG_ADDRESS = '" + queue + "'");
    Check.that(letter != null, "no dead letter came");
    Check.equal("poison", ((TextMessage) letter).getText(), "the dead letter");
    container.shutdown();
    Check.equal(10, seen.size(), "the count of attempts");
    Check.equal("poison new 1", seen.get(0), "the first attempt");
    for (int attempt = 2; attempt <= 10; attempt += 1) {
      Check.equal("poison again " + attempt, seen.get(attempt - 1), "attempt " + attempt);
    }
    expectEmpty(scene, queue);
    connections.destroy();
  }

  private static void subscription(Scene scene) throws Exception {
    String topic = scene.name("topic");
    CachingConnectionFactory sending = connections(scene);
    JmsTemplate template = new JmsTemplate(sending);
    template.setPubSubDomain(true);
    Ledger ledger = new Ledger(300);
    for (int round = 0; round < 3; round += 1) {
      CachingConnectionFactory connections = connections(scene);
      connections.setClientId(scene.name("client"));
      DefaultMessageListenerContainer container = container(connections, topic, ledger);
      container.setPubSubDomain(true);
      container.setSubscriptionDurable(true);
      container.setDurableSubscriptionName("mine");
      container.setConcurrentConsumers(1);
      container.setMaxConcurrentConsumers(1);
      start(container);
      // The subscription exists as soon as its consumer does.
      while (container.getActiveConsumerCount() == 0 || !container.isRegisteredWithDestination()) {
        Thread.sleep(10);
      }
      for (int number = 0; number < 50; number += 1) {
        template.convertAndSend(topic, round + " while there " + number);
      }
      if (round == 2) ledger.await();
      container.shutdown();
      connections.destroy();
      if (round == 2) break;
      for (int number = 0; number < 75; number += 1) {
        template.convertAndSend(topic, round + " while away " + number);
      }
    }
    Check.equal(Set.of(), ledger.repeated(), "what came more than once");
    sending.destroy();
  }

  private static void restart(Scene scene) throws Exception {
    int count = 2_000;
    String queue = scene.name("restart");
    CachingConnectionFactory connections = connections(scene);
    Ledger ledger = new Ledger(count);
    DefaultMessageListenerContainer container = container(connections, queue, ledger);
    start(container);
    sendNumbers(transactedTemplate(connections), queue, count);
    for (int round = 0; round < 3; round += 1) {
      container.stop();
      Thread.sleep(Scene.QUIET_MS);
      container.start();
    }
    ledger.await();
    container.shutdown();
    Check.equal(Set.of(), ledger.repeated(), "what was processed more than once");
    expectEmpty(scene, queue);
    connections.destroy();
  }

  private static void outlive(Scene scene, String how) throws Exception {
    int count = 3_000;
    String queue = scene.name("outlive");
    // A connection that reaches the backlog of a process that dies is given up soon.
    CachingConnectionFactory connections = connections(scene, "callTimeout=5000");
    JmsTemplate template = transactedTemplate(connections);
    sendNumbers(template, queue, count);
    Ledger ledger = new Ledger(count);
    CountDownLatch isUnderWay = new CountDownLatch(count / 3);
    MessageListener listener =
        message -> {
          ledger.onMessage(message);
          isUnderWay.countDown();
        };
    DefaultMessageListenerContainer container = container(connections, queue, listener);
    start(container);
    // A broker that is killed may have forgotten what it handed out; the option says that it does not.
    ledger.expectsMarks = how.equals("stop") || scene.option("marks") != null;
    Check.that(isUnderWay.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "it does not get going");
    BrokerStops.end(scene, how);
    BrokerStops.start(scene);
    ledger.await();
    // What goes on after the break is as good as before.
    String after = scene.name("after");
    template.convertAndSend(after, "text");
    template.setReceiveTimeout(Scene.WAIT_MS);
    Check.equal("text", template.receiveAndConvert(after), "the message after the break");
    container.shutdown();
    Check.equal(count, ledger.processed.size(), "the count of messages");
    // Only what was in the listeners' hands when it broke may have come twice.
    int repeated = ledger.repeated().size();
    Check.that(repeated <= LISTENERS, repeated + " messages were processed more than once");
    expectEmpty(scene, queue);
    connections.destroy();
  }
}
