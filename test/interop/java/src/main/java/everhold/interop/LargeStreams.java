package everhold.interop;

import jakarta.jms.BytesMessage;
import jakarta.jms.JMSException;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.Session;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * Messages larger than the memory of this process, written from streams and read into streams. Each byte of a
 * body follows from its place, so nothing has to be kept to compare with.
 */
final class LargeStreams {
  private static final long LIMIT_MS = 600_000;
  private static final long MIB = 1 << 20;

  private LargeStreams() {}

  public static void main(String[] args) {
    Cases cases = new Cases(args);
    String todo = args[1];
    if (todo.startsWith("sendTo=")) cases.add("a body is sent from a stream", LIMIT_MS, LargeStreams::send);
    if (todo.startsWith("receiveFrom=")) cases.add("a body is received into a stream", LIMIT_MS, LargeStreams::receive);
    if (todo.startsWith("restarts=")) {
      cases
          .add("an upload that a kill interrupts leaves nothing", LIMIT_MS, LargeStreams::killedUpload)
          .add("a download that a kill interrupts begins anew", LIMIT_MS, LargeStreams::killedDownload);
    }
    cases.run();
  }

  /** The byte at a place of every body. */
  private static byte byteAt(long place) {
    return (byte) (place * 31 + (place >>> 16));
  }

  /** So many bytes, and something to do when a place is reached. */
  private static final class Source extends InputStream {
    private final long size;
    private final long actAt;
    private final Action action;
    private long place;

    Source(long size, long actAt, Action action) {
      this.size = size;
      this.actAt = actAt;
      this.action = action;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      if (place == size) return -1;
      int count = (int) Math.min(length, size - place);
      for (int index = 0; index < count; index += 1) bytes[offset + index] = byteAt(place + index);
      if (place < actAt && place + count >= actAt) act(action);
      place += count;
      return count;
    }
  }

  /** Checks what is written to it. */
  private static final class Sink extends OutputStream {
    private final long actAt;
    private final Action action;
    private long place;
    private long wrongAt = -1;

    Sink(long actAt, Action action) {
      this.actAt = actAt;
      this.action = action;
    }

    @Override
    public void write(int value) throws IOException {
      write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      for (int index = 0; index < length; index += 1) {
        if (wrongAt < 0 && bytes[offset + index] != byteAt(place + index)) wrongAt = place + index;
      }
      if (place < actAt && place + length >= actAt) act(action);
      place += length;
    }
  }

  private interface Action {
    void run() throws Exception;
  }

  private static void act(Action action) throws IOException {
    try {
      action.run();
    } catch (Exception error) {
      throw new IOException(error);
    }
  }

  private static long bytes(Scene scene) {
    return Long.parseLong(scene.option("bytes"));
  }

  private static BytesMessage message(Session session, InputStream source) throws JMSException {
    BytesMessage message = session.createBytesMessage();
    message.setObjectProperty("JMS_AMQ_InputStream", source);
    return message;
  }

  private static void send(Scene scene) throws Exception {
    Session session = scene.session();
    long startedNs = System.nanoTime();
    Source source = new Source(bytes(scene), -1, () -> {});
    session.createProducer(session.createQueue(scene.option("sendTo"))).send(message(session, source));
    figure("Java sends a large message", bytes(scene), startedNs);
  }

  private static void receive(Scene scene) throws Exception {
    Session session = scene.session(Session.CLIENT_ACKNOWLEDGE);
    MessageConsumer consumer = session.createConsumer(session.createQueue(scene.option("receiveFrom")));
    long startedNs = System.nanoTime();
    Message found = Scene.receive(consumer);
    Check.equal(bytes(scene), found.getLongProperty("_AMQ_LARGE_SIZE"), "the size that it names");
    checkBody(bytes(scene), found);
    found.acknowledge();
    figure("Java receives a large message", bytes(scene), startedNs);
  }

  private static void checkBody(long bytes, Message found) throws JMSException {
    Sink sink = new Sink(-1, () -> {});
    found.setObjectProperty("JMS_AMQ_SaveStream", sink);
    Check.equal(-1L, sink.wrongAt, "the first wrong byte");
    Check.equal(bytes, sink.place, "the bytes of the body");
  }

  private static void figure(String name, long bytes, long startedNs) {
    double seconds = (System.nanoTime() - startedNs) / 1e9;
    long heapMib = Runtime.getRuntime().maxMemory() / MIB;
    long rate = Math.round(bytes / seconds / MIB);
    Json.print(
        "{\"figure\":" + Json.text(name) + ",\"mib\":" + bytes / MIB + ",\"mibPerSecond\":" + rate
            + ",\"javaHeapMib\":" + heapMib + "}");
  }

  private static void killedUpload(Scene scene) throws Exception {
    String queue = scene.name("upload");
    Session session = scene.session();
    Session setUp = scene.session();
    setUp.createProducer(setUp.createQueue(queue)).send(setUp.createTextMessage("before"));
    Source source = new Source(bytes(scene), bytes(scene) / 2, () -> BrokerStops.end(scene, "kill"));
    BytesMessage message = message(session, source);
    var producer = session.createProducer(session.createQueue(queue));
    Check.fails(JMSException.class, "a send that a kill interrupts", () -> producer.send(message));
    BrokerStops.start(scene);
    Session again = scene.session();
    MessageConsumer consumer = again.createConsumer(again.createQueue(queue));
    Check.equal("before", Scene.receiveText(consumer), "the message before it");
    Scene.receiveNothing(consumer);
    Source whole = new Source(bytes(scene), -1, () -> {});
    again.createProducer(again.createQueue(queue)).send(message(again, whole));
    checkBody(bytes(scene), Scene.receive(consumer));
  }

  private static void killedDownload(Scene scene) throws Exception {
    String queue = scene.name("download");
    Session session = scene.session(Session.CLIENT_ACKNOWLEDGE);
    Source source = new Source(bytes(scene), -1, () -> {});
    session.createProducer(session.createQueue(queue)).send(message(session, source));
    Message half = Scene.receive(session.createConsumer(session.createQueue(queue)));
    Sink sink = new Sink(bytes(scene) / 2, () -> BrokerStops.end(scene, "kill"));
    Check.fails(
        JMSException.class,
        "a read that a kill interrupts",
        () -> half.setObjectProperty("JMS_AMQ_SaveStream", sink));
    BrokerStops.start(scene);
    Session again = scene.session(Session.CLIENT_ACKNOWLEDGE);
    MessageConsumer consumer = again.createConsumer(again.createQueue(queue));
    Message found = Scene.receive(consumer);
    Check.equal(true, found.getJMSRedelivered(), "redelivered");
    checkBody(bytes(scene), found);
    found.acknowledge();
    Scene.receiveNothing(consumer);
  }
}
