package everhold.interop;

import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.XAConnection;
import jakarta.jms.XASession;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import javax.transaction.xa.XAException;
import javax.transaction.xa.XAResource;
import javax.transaction.xa.Xid;
import org.apache.activemq.artemis.jms.client.ActiveMQXAConnectionFactory;

/** {@link XAResource} as managers call it, request by request. */
final class Branches {
  private static final AtomicInteger NUMBERS = new AtomicInteger();

  private Branches() {}

  public static void main(String[] args) {
    new Cases(args)
        .add("two phases", Branches::twoPhases)
        .add("one phase", Branches::onePhase)
        .add("requests in the wrong state have the codes of XA", Branches::wrongStates)
        .add("what is suspended rests while another branch is worked for", Branches::suspended)
        .add("two sessions work for one branch", Branches::joined)
        .add("two resources of one broker are the same manager", Branches::sameManager)
        .add("a branch whose time is over is rolled back", Branches::timeout)
        .add("recover lists each prepared branch once", Branches::recover)
        .addWith("restarts", "a prepared branch outlives a kill, and hides what it acknowledged", Branches::killed)
        .run();
  }

  private static void twoPhases(Scene scene) throws Exception {
    try (Work work = new Work(scene)) {
      Xid xid = work.send("a");
      Check.equal(XAResource.XA_OK, work.resource.prepare(xid), "the vote");
      Check.equal(List.of(), work.texts(), "messages before the commit");
      work.resource.commit(xid, false);
      Check.equal(List.of("a"), work.texts(), "messages after the commit");
    }
  }

  private static void onePhase(Scene scene) throws Exception {
    try (Work work = new Work(scene)) {
      work.resource.commit(work.send("a"), true);
      work.resource.rollback(work.send("b"));
      Check.equal(List.of("a"), work.texts(), "messages");
    }
  }

  private static void wrongStates(Scene scene) throws Exception {
    // A session of Artemis whose start was refused forgets the other's branch when it starts it again.
    try (Work work = new Work(scene); Work other = new Work(scene); Work third = new Work(scene)) {
      XAResource resource = work.resource;
      Xid none = xid();
      code(XAException.XAER_NOTA, "prepare of nothing", () -> resource.prepare(none));
      code(XAException.XAER_NOTA, "commit of nothing", () -> resource.commit(none, true));
      code(XAException.XAER_NOTA, "rollback of nothing", () -> resource.rollback(none));
      code(XAException.XAER_NOTA, "forget of nothing", () -> resource.forget(none));
      code(XAException.XAER_NOTA, "join of nothing", () -> resource.start(none, XAResource.TMJOIN));
      Xid xid = xid();
      resource.start(xid, XAResource.TMNOFLAGS);
      code(XAException.XAER_DUPID, "start of what exists", () -> other.resource.start(xid, XAResource.TMNOFLAGS));
      code(XAException.XAER_PROTO, "prepare of what is worked for", () -> resource.prepare(xid));
      work.produce("a");
      resource.end(xid, XAResource.TMSUCCESS);
      Check.equal(XAResource.XA_OK, resource.prepare(xid), "the vote");
      code(XAException.XAER_DUPID, "start of what is prepared", () -> third.resource.start(xid, XAResource.TMNOFLAGS));
      resource.rollback(xid);
    }
  }

  private static void suspended(Scene scene) throws Exception {
    try (Work work = new Work(scene)) {
      Xid first = xid();
      work.resource.start(first, XAResource.TMNOFLAGS);
      work.produce("first");
      work.resource.end(first, XAResource.TMSUSPEND);
      Xid second = work.send("second");
      work.resource.start(first, XAResource.TMRESUME);
      work.produce("third");
      work.resource.end(first, XAResource.TMSUCCESS);
      work.resource.commit(first, true);
      work.resource.rollback(second);
      Check.equal(List.of("first", "third"), work.texts(), "messages");
    }
  }

  private static void joined(Scene scene) throws Exception {
    try (Work one = new Work(scene); Work two = new Work(scene, one.queue)) {
      Xid xid = one.send("one");
      two.resource.start(xid, XAResource.TMJOIN);
      two.produce("two");
      two.resource.end(xid, XAResource.TMSUCCESS);
      Check.equal(XAResource.XA_OK, one.resource.prepare(xid), "the vote");
      two.resource.commit(xid, false);
      Check.equal(List.of("one", "two"), one.texts(), "messages");
    }
  }

  private static void sameManager(Scene scene) throws Exception {
    try (Work one = new Work(scene); Work two = new Work(scene)) {
      Check.that(one.resource.isSameRM(two.resource), "two resources of one broker are different managers");
    }
  }

  private static void timeout(Scene scene) throws Exception {
    try (Work work = new Work(scene)) {
      Check.that(work.resource.setTransactionTimeout(1), "the time limit is refused");
      Xid xid = work.send("late");
      Thread.sleep(6_000);
      code(XAException.XAER_NOTA, "prepare of what was rolled back", () -> work.resource.prepare(xid));
      Check.equal(List.of(), work.texts(), "messages");
    }
  }

  private static void recover(Scene scene) throws Exception {
    try (Work work = new Work(scene); Work other = new Work(scene)) {
      Xid xid = work.send("a");
      Check.equal(XAResource.XA_OK, work.resource.prepare(xid), "the vote");
      Check.equal(1, found(other.resource.recover(XAResource.TMSTARTRSCAN), xid), "branches found");
      Check.equal(0, found(other.resource.recover(XAResource.TMNOFLAGS), xid), "branches found again");
      other.resource.rollback(xid);
      Check.equal(0, found(other.resource.recover(XAResource.TMSTARTRSCAN), xid), "branches left");
    }
  }

  private static void killed(Scene scene) throws Exception {
    Xid xid = xid();
    Work before = new Work(scene);
    Session plain = scene.session();
    plain.createProducer(before.queue).send(plain.createTextMessage("order"));
    before.resource.start(xid, XAResource.TMNOFLAGS);
    try (MessageConsumer consumer = before.session.createConsumer(before.queue)) {
      Check.equal("order", Scene.receiveText(consumer), "the message");
      before.produce("answer");
      before.resource.end(xid, XAResource.TMSUCCESS);
      Check.equal(XAResource.XA_OK, before.resource.prepare(xid), "the vote");
      BrokerStops.end(scene, "kill");
    } catch (JMSException error) {
      // Its consumer cannot be closed in order any more.
    }
    BrokerStops.start(scene);
    try (Work after = new Work(scene, before.queue)) {
      Check.equal(List.of(), after.texts(), "messages while it is in doubt");
      Check.equal(1, found(after.resource.recover(XAResource.TMSTARTRSCAN), xid), "branches found");
      after.resource.commit(xid, false);
      Check.equal(List.of("answer"), after.texts(), "messages after the commit");
    }
  }

  private static int found(Xid[] xids, Xid xid) {
    byte[] id = xid.getGlobalTransactionId();
    return (int)
        Arrays.stream(xids).filter(one -> Arrays.equals(one.getGlobalTransactionId(), id)).count();
  }

  private static void code(int expected, String what, Check.Action action) throws Exception {
    XAException error = Check.fails(XAException.class, what, action);
    Check.equal(expected, error.errorCode, "the code of " + what);
  }

  /** The next message that is there; null when there is none. */
  static Message next(MessageConsumer consumer) throws JMSException {
    Message message = consumer.receive(500);
    // A machine that was busy for so long has not said that there is none; the broker does.
    return message == null ? consumer.receiveNoWait() : message;
  }

  private static Xid xid() {
    byte[] id = ("branch-" + System.nanoTime() + "-" + NUMBERS.incrementAndGet()).getBytes(StandardCharsets.UTF_8);
    return new Xid() {
      @Override
      public int getFormatId() {
        return 77;
      }

      @Override
      public byte[] getGlobalTransactionId() {
        return id;
      }

      @Override
      public byte[] getBranchQualifier() {
        return new byte[] {1};
      }
    };
  }

  /** A session for branches, and a queue. */
  private static final class Work implements AutoCloseable {
    final Queue queue;
    final XASession session;
    final XAResource resource;
    private final Scene scene;
    private final ActiveMQXAConnectionFactory factory;
    private final XAConnection connection;

    Work(Scene scene) throws JMSException {
      this(scene, null);
    }

    Work(Scene scene, Queue queue) throws JMSException {
      this.scene = scene;
      factory = new ActiveMQXAConnectionFactory(scene.url() + "?reconnectAttempts=0&callTimeout=20000");
      connection = factory.createXAConnection();
      connection.start();
      session = connection.createXASession();
      resource = session.getXAResource();
      this.queue = queue == null ? session.createQueue(scene.name("work-" + NUMBERS.incrementAndGet())) : queue;
    }

    /** Sends a message in a branch of its own, which has ended. */
    Xid send(String text) throws Exception {
      Xid xid = xid();
      resource.start(xid, XAResource.TMNOFLAGS);
      produce(text);
      resource.end(xid, XAResource.TMSUCCESS);
      return xid;
    }

    void produce(String text) throws JMSException {
      try (var producer = session.createProducer(queue)) {
        producer.send(session.createTextMessage(text));
      }
    }

    /** Takes the messages that are there. */
    List<String> texts() throws JMSException {
      List<String> texts = new ArrayList<>();
      try (var plain = scene.connect(); Session reader = plain.createSession()) {
        MessageConsumer consumer = reader.createConsumer(queue);
        for (var message = next(consumer); message != null; message = next(consumer)) {
          texts.add(message.getBody(String.class));
        }
      }
      return texts;
    }

    @Override
    public void close() throws JMSException {
      connection.close();
      factory.close();
    }
  }
}
