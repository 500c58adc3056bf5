package everhold.interop;

import jakarta.jms.InvalidSelectorException;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.QueueBrowser;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Enumeration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Selectors of consumers and browsers. */
final class Selectors {
  private Selectors() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("every construct of the language chooses what it says", Selectors::language)
        .add("header fields can be selected", Selectors::headers)
        .add("consumers with different selectors share a queue", Selectors::share)
        .add("what a selector passes over stays, in order", Selectors::stays)
        .add("a selector finds a message behind thousands of others", Selectors::deep)
        .add("a selector that is not one is refused", Selectors::invalid)
        .add("a browser sees every message in order and takes none", Selectors::browse)
        .add("a browser with a selector sees what it says", Selectors::browseSelected)
        .add("a browser of an empty queue sees nothing", Selectors::browseEmpty)
        .add("a browser can be enumerated again, and sees what came", Selectors::browseAgain)
        .add("a browser sees thousands of messages", Selectors::browseMany)
        .add("a browser beside a consumer disturbs neither", Selectors::browseBeside)
        .run();
  }

  private static void language(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "language");
    // Of messages 0 to 9 with color, number, ratio, flag, share and, where even, note.
    Map<String, List<Integer>> expected = new LinkedHashMap<>();
    expected.put("number = 3", List.of(3));
    expected.put("number <> 3 AND number < 5", List.of(0, 1, 2, 4));
    expected.put("number BETWEEN 4 AND 6", List.of(4, 5, 6));
    expected.put("number NOT BETWEEN 1 AND 8", List.of(0, 9));
    expected.put("color = 'red'", List.of(0, 3, 6, 9));
    expected.put("color IN ('red', 'blue') AND number > 7", List.of(8, 9));
    expected.put("color NOT IN ('red', 'blue')", List.of(1, 4, 7));
    expected.put("color LIKE 'g%n'", List.of(1, 4, 7));
    expected.put("color LIKE '_lue'", List.of(2, 5, 8));
    expected.put("color NOT LIKE '%e%'", List.of());
    expected.put("share LIKE '5!%' ESCAPE '!'", List.of(5));
    expected.put("note IS NULL", List.of(1, 3, 5, 7, 9));
    expected.put("note IS NOT NULL AND note = 'it''s even'", List.of(0, 2, 4, 6, 8));
    expected.put("flag", List.of(0, 1, 2, 3, 4));
    expected.put("NOT flag", List.of(5, 6, 7, 8, 9));
    expected.put("flag = TRUE OR number = 9", List.of(0, 1, 2, 3, 4, 9));
    expected.put("ratio > 0.25 AND ratio <= 0.75", List.of(3, 4, 5, 6, 7));
    expected.put("number * 2 + 1 = 7", List.of(3));
    expected.put("-number <= -8", List.of(8, 9));
    expected.put("(number - 1) / 2 >= 4", List.of(9));
    expected.put("absent = 1 OR absent <> 1", List.of());
    expected.put("NOT (absent = 1)", List.of());
    expected.put("number > 1e0 AND number < 0x4", List.of(2, 3));
    for (var entry : expected.entrySet()) {
      sendColored(session, queue);
      MessageConsumer consumer = session.createConsumer(queue, entry.getKey());
      List<Integer> found = new ArrayList<>();
      for (Message message = consumer.receiveNoWait();
          message != null;
          message = consumer.receiveNoWait()) {
        found.add(message.getIntProperty("number"));
      }
      Check.equal(entry.getValue(), found, entry.getKey());
      consumer.close();
      try (MessageConsumer rest = session.createConsumer(queue)) {
        for (int count = found.size(); count < 10; count += 1) Scene.receive(rest);
      }
    }
  }

  private static void sendColored(Session session, Queue queue) throws JMSException {
    List<String> colors = List.of("red", "green", "blue");
    try (MessageProducer producer = session.createProducer(queue)) {
      producer.setDeliveryMode(jakarta.jms.DeliveryMode.NON_PERSISTENT);
      for (int number = 0; number < 10; number += 1) {
        TextMessage message = session.createTextMessage(String.valueOf(number));
        message.setIntProperty("number", number);
        message.setStringProperty("color", colors.get(number % 3));
        message.setDoubleProperty("ratio", number / 10d);
        message.setBooleanProperty("flag", number < 5);
        message.setStringProperty("share", number + "%");
        if (number % 2 == 0) message.setStringProperty("note", "it's even");
        producer.send(message);
      }
    }
  }

  private static void headers(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "headers");
    MessageProducer producer = session.createProducer(queue);
    TextMessage message = session.createTextMessage("chosen");
    message.setJMSCorrelationID("correlated");
    message.setJMSType("letter");
    message.setStringProperty("JMSXGroupID", "group");
    producer.send(message, jakarta.jms.DeliveryMode.NON_PERSISTENT, 7, 600_000);
    producer.send(session.createTextMessage("other"));
    String id = message.getJMSMessageID();
    List<String> selectors =
        List.of(
            "JMSPriority > 4",
            "JMSDeliveryMode = 'NON_PERSISTENT'",
            "JMSCorrelationID = 'correlated'",
            "JMSType = 'letter'",
            "JMSMessageID = '" + id + "'",
            "JMSTimestamp = " + message.getJMSTimestamp() + " AND JMSPriority = 7",
            "JMSXGroupID = 'group'",
            "JMSExpiration > 0");
    for (String selector : selectors) {
      QueueBrowser browser = session.createBrowser(queue, selector);
      List<String> found = texts(browser);
      browser.close();
      Check.equal(List.of("chosen"), found, selector);
    }
  }

  private static void share(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "share");
    MessageConsumer red = scene.session().createConsumer(queue, "color = 'red'");
    MessageConsumer blue = session.createConsumer(queue, "color = 'blue'");
    for (int round = 0; round < 5; round += 1) sendColored(session, queue);
    for (int round = 0; round < 5; round += 1) {
      for (int number : new int[] {0, 3, 6, 9}) Scene.receiveNumbers(red, number, 1);
      for (int number : new int[] {2, 5, 8}) Scene.receiveNumbers(blue, number, 1);
    }
    Scene.receiveNothing(red);
    Scene.receiveNothing(blue);
    MessageConsumer rest = scene.session().createConsumer(queue);
    for (int round = 0; round < 5; round += 1) {
      for (int number : new int[] {1, 4, 7}) Scene.receiveNumbers(rest, number, 1);
    }
    Scene.receiveNothing(rest);
  }

  private static void stays(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "stays");
    sendColored(session, queue);
    MessageConsumer high = session.createConsumer(queue, "number > 6");
    Scene.receiveNumbers(high, 7, 3);
    Scene.receiveNothing(high);
    high.close();
    MessageConsumer even = session.createConsumer(queue, "note IS NOT NULL");
    for (int number : new int[] {0, 2, 4, 6}) Scene.receiveNumbers(even, number, 1);
    even.close();
    MessageConsumer rest = session.createConsumer(queue);
    for (int number : new int[] {1, 3, 5}) Scene.receiveNumbers(rest, number, 1);
    Scene.receiveNothing(rest);
  }

  private static void deep(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "deep");
    MessageProducer producer = session.createProducer(queue);
    for (int number = 0; number < 6_000; number += 1) {
      TextMessage message = session.createTextMessage(String.valueOf(number));
      message.setIntProperty("number", number);
      producer.send(message);
    }
    session.commit();
    MessageConsumer consumer = session.createConsumer(queue, "number = 5999 OR number = 17");
    Scene.receiveNumbers(consumer, 17, 1);
    Scene.receiveNumbers(consumer, 5_999, 1);
    session.commit();
    Scene.receiveNothing(consumer);
  }

  private static void invalid(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "invalid");
    for (String selector : List.of("number =", "= 3", "a LIKE 3", "((a = 1)", "a = 'unclosed")) {
      Check.fails(
          InvalidSelectorException.class, selector, () -> session.createConsumer(queue, selector));
      Check.fails(
          InvalidSelectorException.class, selector, () -> session.createBrowser(queue, selector));
    }
    // The session is as good as before.
    Scene.sendNumbers(session, queue, 0, 1);
    Scene.receiveNumbers(session.createConsumer(queue, ""), 0, 1);
  }

  private static void browse(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "browse");
    Scene.sendNumbers(session, queue, 0, 20);
    QueueBrowser browser = session.createBrowser(queue);
    Check.equal(queue, browser.getQueue(), "the browser's queue");
    Check.equal(null, browser.getMessageSelector(), "the browser's selector");
    Check.equal(numbers(0, 20), texts(browser), "what it sees");
    browser.close();
    MessageConsumer consumer = session.createConsumer(queue);
    Message first = Scene.receive(consumer);
    Check.equal(false, first.getJMSRedelivered(), "redelivered, after it was browsed");
    Check.equal(1, first.getIntProperty("JMSXDeliveryCount"), "its delivery count");
    Scene.receiveNumbers(consumer, 1, 19);
  }

  private static void browseSelected(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "selected");
    sendColored(session, queue);
    QueueBrowser browser = session.createBrowser(queue, "color = 'red' AND number > 0");
    Check.equal(List.of("3", "6", "9"), texts(browser), "what it sees");
  }

  private static void browseEmpty(Scene scene) throws Exception {
    // On a connection that is not started, too.
    Session session = scene.connectStopped().createSession();
    Queue queue = scene.queue(session, "empty");
    session.createProducer(queue).close();
    QueueBrowser browser = session.createBrowser(queue);
    Check.equal(false, browser.getEnumeration().hasMoreElements(), "whether it sees anything");
    Scene.sendNumbers(session, queue, 0, 2);
    Check.equal(List.of("0", "1"), texts(browser), "what it sees later");
  }

  private static void browseAgain(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "again");
    Scene.sendNumbers(session, queue, 0, 3);
    QueueBrowser browser = session.createBrowser(queue);
    Check.equal(numbers(0, 3), texts(browser), "what it sees first");
    Scene.sendNumbers(session, queue, 3, 3);
    Check.equal(numbers(0, 6), texts(browser), "what it sees then");
    try (MessageConsumer consumer = session.createConsumer(queue)) {
      Scene.receiveNumbers(consumer, 0, 2);
    }
    Check.equal(numbers(2, 4), texts(session.createBrowser(queue)), "what another one sees");
  }

  private static void browseMany(Scene scene) throws Exception {
    Session session = scene.session(Session.SESSION_TRANSACTED);
    Queue queue = scene.queue(session, "many");
    // All fit into the window: beyond it, the client may ask for the end before it has given credit.
    Scene.sendNumbers(session, queue, 0, 3_000);
    session.commit();
    Check.equal(numbers(0, 3_000), texts(session.createBrowser(queue)), "what it sees");
  }

  private static void browseBeside(Scene scene) throws Exception {
    Session session = scene.session();
    Queue queue = scene.queue(session, "beside");
    Scene.sendNumbers(session, queue, 0, 50);
    QueueBrowser browser = session.createBrowser(queue);
    Enumeration<?> seen = browser.getEnumeration();
    Check.equal("0", ((TextMessage) seen.nextElement()).getText(), "the first one seen");
    MessageConsumer consumer = scene.session().createConsumer(queue);
    Scene.receiveNumbers(consumer, 0, 50);
    // What a browser sees of messages that go meanwhile is not promised; that it ends is.
    Collections.list(seen);
    browser.close();
    Check.equal(List.of(), texts(session.createBrowser(queue)), "what is left");
  }

  private static List<String> texts(QueueBrowser browser) throws JMSException {
    List<String> texts = new ArrayList<>();
    for (Enumeration<?> seen = browser.getEnumeration(); seen.hasMoreElements(); ) {
      texts.add(((TextMessage) seen.nextElement()).getText());
    }
    return texts;
  }

  private static List<String> numbers(int first, int count) {
    List<String> texts = new ArrayList<>();
    for (int number = first; number < first + count; number += 1) texts.add(String.valueOf(number));
    return texts;
  }
}
