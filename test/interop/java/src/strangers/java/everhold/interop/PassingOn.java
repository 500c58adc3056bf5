package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.messaginghub.pooled.jms.JmsPoolConnectionFactory;

/** Programs between others: what they pass on was made elsewhere, and their connections come from a pool. */
final class PassingOn {
  private PassingOn() {}

  public static void main(String[] args) {
    new Cases(args)
        .addWith("from", "messages of another client are passed on, and back, as often as one likes", PassingOn::passOn)
        .add("pooled connections serve 200 users at once", PassingOn::pool)
        .run();
  }

  /** The caller has put messages into the queue that the option names. */
  private static void passOn(Scene scene) throws Exception {
    Session session = scene.session();
    Queue[] queues = {session.createQueue(scene.option("from")), scene.queue(session, "other")};
    int count = Integer.parseInt(scene.option("count"));
    for (int time = 0; time < 4; time += 1) {
      try (MessageConsumer consumer = session.createConsumer(queues[time % 2]);
          MessageProducer producer = session.createProducer(queues[(time + 1) % 2])) {
        for (int number = 0; number < count; number += 1) producer.send(Scene.receive(consumer));
        Scene.receiveNothing(consumer);
      }
    }
  }

  private static void pool(Scene scene) throws Exception {
    JmsPoolConnectionFactory pool = new JmsPoolConnectionFactory();
    pool.setConnectionFactory(scene.factory());
    pool.setMaxConnections(2);
    pool.setMaxSessionsPerConnection(5);
    ExecutorService threads = Executors.newFixedThreadPool(8);
    List<Future<String>> users = new ArrayList<>();
    try {
      for (int number = 0; number < 200; number += 1) {
        int own = number;
        Callable<String> user = () -> use(scene, pool, own);
        users.add(threads.submit(user));
      }
      for (int number = 0; number < 200; number += 1) {
        String text = users.get(number).get(Scene.WAIT_MS, TimeUnit.MILLISECONDS);
        Check.equal(String.valueOf(number), text, "what a user got");
      }
    } finally {
      threads.shutdownNow();
      pool.stop();
    }
  }

  private static String use(Scene scene, JmsPoolConnectionFactory pool, int number) throws Exception {
    boolean isTransacted = number % 2 == 0;
    try (Connection connection = pool.createConnection();
        Session session = connection.createSession(isTransacted, Session.AUTO_ACKNOWLEDGE)) {
      connection.start();
      Queue queue = session.createQueue(scene.name("user" + number));
      try (MessageProducer producer = session.createProducer(null)) {
        producer.send(queue, session.createTextMessage(String.valueOf(number)));
      }
      if (isTransacted) session.commit();
      try (MessageConsumer consumer = session.createConsumer(queue)) {
        Message message = Scene.receive(consumer);
        if (isTransacted) session.commit();
        return ((TextMessage) message).getText();
      }
    }
  }
}
