package everhold.interop;

import jakarta.jms.Connection;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.Queue;
import jakarta.jms.QueueConnection;
import jakarta.jms.QueueRequestor;
import jakarta.jms.QueueSession;
import jakarta.jms.Session;
import jakarta.jms.TemporaryQueue;
import jakarta.jms.TemporaryTopic;
import jakarta.jms.TextMessage;
import jakarta.jms.Topic;
import jakarta.jms.TopicConnection;
import jakarta.jms.TopicRequestor;
import jakarta.jms.TopicSession;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Temporary queues and topics, and the replies that they are made for. */
final class RequestReply {
  private RequestReply() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("each request gets its reply over a temporary queue", RequestReply::overQueue)
        .add("many requesters at once get their own replies", RequestReply::many)
        .add("a temporary topic carries replies", RequestReply::overTopic)
        .add("the requestors of JMS work", RequestReply::requestors)
        .add("only the connection that made it receives from a temporary queue", RequestReply::owner)
        .add("a temporary queue is for every session of its connection", RequestReply::sessions)
        .add("a temporary queue is deleted, but not under a consumer", RequestReply::delete)
        .add("a temporary queue ends with its connection", RequestReply::ends)
        .add("a thousand temporary queues come and go", RequestReply::thousand)
        .run();
  }

  /** Answers what comes to a destination, until its connection is closed. */
  private static void serve(Scene scene, jakarta.jms.Destination requests) throws JMSException {
    Session session = scene.session();
    MessageProducer producer = session.createProducer(null);
    session
        .createConsumer(requests)
        .setMessageListener(
            request -> {
              try {
                TextMessage reply = session.createTextMessage("re: " + Delivery.textOf(request));
                reply.setJMSCorrelationID(request.getJMSMessageID());
                producer.send(request.getJMSReplyTo(), reply);
              } catch (JMSException error) {
                throw new IllegalStateException(error);
              }
            });
  }

  private static void overQueue(Scene scene) throws Exception {
    Session session = scene.session();
    Queue requests = scene.queue(session, "requests");
    serve(scene, requests);
    TemporaryQueue replies = session.createTemporaryQueue();
    MessageConsumer consumer = session.createConsumer(replies);
    MessageProducer producer = session.createProducer(requests);
    for (int number = 0; number < 50; number += 1) {
      TextMessage request = session.createTextMessage(String.valueOf(number));
      request.setJMSReplyTo(replies);
      producer.send(request);
      TextMessage reply = (TextMessage) Scene.receive(consumer);
      Check.equal("re: " + number, reply.getText(), "the reply");
      Check.equal(request.getJMSMessageID(), reply.getJMSCorrelationID(), "its correlation id");
      String destination = ((Queue) reply.getJMSDestination()).getQueueName();
      Check.equal(replies.getQueueName(), destination, "its destination");
    }
    Scene.receiveNothing(consumer);
  }

  private static void many(Scene scene) throws Exception {
    Queue requests = scene.queue(scene.session(), "requests");
    serve(scene, requests);
    serve(scene, requests);
    int count = 10;
    CountDownLatch done = new CountDownLatch(count);
    var failures = ConcurrentHashMap.<String>newKeySet();
    for (int index = 0; index < count; index += 1) {
      Session session = scene.session();
      String name = "requester " + index + " asks ";
      Thread thread =
          new Thread(
              () -> {
                try (MessageProducer producer = session.createProducer(requests)) {
                  TemporaryQueue replies = session.createTemporaryQueue();
                  MessageConsumer consumer = session.createConsumer(replies);
                  for (int number = 0; number < 20; number += 1) {
                    TextMessage request = session.createTextMessage(name + number);
                    request.setJMSReplyTo(replies);
                    producer.send(request);
                    Check.equal("re: " + name + number, Scene.receiveText(consumer), "the reply");
                  }
                } catch (Throwable error) {
                  failures.add(error.toString());
                }
                done.countDown();
              });
      thread.setDaemon(true);
      thread.start();
    }
    Check.that(done.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "not all are done");
    Check.equal(java.util.Set.of(), failures, "what failed");
  }

  private static void overTopic(Scene scene) throws Exception {
    Session session = scene.session();
    Topic requests = scene.topic(session, "requests");
    serve(scene, requests);
    TemporaryTopic replies = session.createTemporaryTopic();
    MessageConsumer first = session.createConsumer(replies);
    MessageConsumer second = session.createConsumer(replies);
    TextMessage request = session.createTextMessage("question");
    request.setJMSReplyTo(replies);
    session.createProducer(requests).send(request);
    Check.equal("re: question", Scene.receiveText(first), "the first reply");
    Check.equal("re: question", Scene.receiveText(second), "the second reply");
    first.close();
    second.close();
    replies.delete();
  }

  private static void requestors(Scene scene) throws Exception {
    QueueConnection ofQueue = scene.factory().createQueueConnection();
    scene.keep(ofQueue);
    ofQueue.start();
    QueueSession queueSession = ofQueue.createQueueSession(false, Session.AUTO_ACKNOWLEDGE);
    Queue queue = scene.queue(queueSession, "requests");
    serve(scene, queue);
    QueueRequestor requestor = new QueueRequestor(queueSession, queue);
    for (int number = 0; number < 5; number += 1) {
      Message reply = requestor.request(queueSession.createTextMessage("q" + number));
      Check.equal("re: q" + number, ((TextMessage) reply).getText(), "the reply");
    }
    requestor.close();

    TopicConnection ofTopic = scene.factory().createTopicConnection();
    scene.keep(ofTopic);
    ofTopic.start();
    TopicSession topicSession = ofTopic.createTopicSession(false, Session.AUTO_ACKNOWLEDGE);
    Topic topic = scene.topic(topicSession, "requests");
    serve(scene, topic);
    TopicRequestor topicRequestor = new TopicRequestor(topicSession, topic);
    Message reply = topicRequestor.request(topicSession.createTextMessage("t"));
    Check.equal("re: t", ((TextMessage) reply).getText(), "the reply");
    topicRequestor.close();
  }

  private static void owner(Scene scene) throws Exception {
    Session session = scene.session();
    TemporaryQueue queue = session.createTemporaryQueue();
    Session other = scene.session();
    Check.fails(JMSException.class, "a stranger's consumer", () -> other.createConsumer(queue));
    Scene.sendNumbers(other, queue, 0, 3);
    Scene.receiveNumbers(session.createConsumer(queue), 0, 3);
  }

  private static void sessions(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session first = connection.createSession();
    TemporaryQueue queue = first.createTemporaryQueue();
    Scene.sendNumbers(first, queue, 0, 3);
    first.close();
    Scene.receiveNumbers(connection.createSession().createConsumer(queue), 0, 3);
  }

  private static void delete(Scene scene) throws Exception {
    Session session = scene.session();
    TemporaryQueue queue = session.createTemporaryQueue();
    MessageConsumer consumer = session.createConsumer(queue);
    Check.fails(JMSException.class, "delete under a consumer", queue::delete);
    Scene.sendNumbers(session, queue, 0, 1);
    Scene.receiveNumbers(consumer, 0, 1);
    consumer.close();
    queue.delete();
    Check.fails(
        JMSException.class, "a consumer of a deleted queue", () -> session.createConsumer(queue));
  }

  private static void ends(Scene scene) throws Exception {
    Connection connection = scene.connect();
    Session session = connection.createSession();
    TemporaryQueue queue = session.createTemporaryQueue();
    Scene.sendNumbers(session, queue, 0, 1);
    connection.close();
    Session other = scene.session();
    Check.fails(JMSException.class, "a consumer of a queue that ended", () -> other.createConsumer(queue));
  }

  private static void thousand(Scene scene) throws Exception {
    Session session = scene.session();
    for (int number = 0; number < 1_000; number += 1) {
      TemporaryQueue queue = session.createTemporaryQueue();
      if (number % 2 == 0) queue.delete();
    }
    TemporaryQueue last = session.createTemporaryQueue();
    Scene.sendNumbers(session, last, 0, 1);
    Scene.receiveNumbers(session.createConsumer(last), 0, 1);
  }
}
