package everhold.zookeeper;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.BackgroundCallback;
import org.apache.curator.framework.api.CuratorWatcher;
import org.apache.curator.retry.RetryOneTime;
import org.apache.zookeeper.KeeperException.Code;

/**
 * A load with Curator: one call after the other in the way that waits, several at a time in the background. Its
 * arguments are the fields of a task of `npm run bench -- zookeeper`, and its line is a measurement.
 */
public final class CuratorLoad {
  private static final int LATENCIES_MAX = 4_000_000;

  private final CuratorFramework client;
  private final String workload;
  private final byte[] data;
  private final long beginNs;
  private final long endNs;
  private final long[] latencies = new long[LATENCIES_MAX];
  private final AtomicInteger count = new AtomicInteger();
  private volatile long cpuBeforeNs;
  private volatile long lastNs;

  private CuratorLoad(
      CuratorFramework client, String workload, byte[] data, double seconds, double warmUpSeconds) {
    this.client = client;
    this.workload = workload;
    this.data = data;
    beginNs = System.nanoTime() + (long) (warmUpSeconds * 1e9);
    endNs = beginNs + (long) (seconds * 1e9);
  }

  public static void main(String[] args) throws Exception {
    byte[] data = new byte[Integer.parseInt(args[3])];
    Arrays.fill(data, (byte) 120);
    int inFlight = Integer.parseInt(args[4]);
    try (CuratorFramework client =
        CuratorFrameworkFactory.builder()
            .connectString(args[0])
            .sessionTimeoutMs(30_000)
            .retryPolicy(new RetryOneTime(100))
            .ensembleTracker(false)
            .build()) {
      client.start();
      client.blockUntilConnected();
      for (int index = 0; index < inFlight; index += 1) {
        client.create().forPath(args[2] + "/" + index, data);
      }
      double seconds = Double.parseDouble(args[5]);
      CuratorLoad load =
          new CuratorLoad(client, args[1], data, seconds, Double.parseDouble(args[6]));
      if (inFlight == 1) load.oneByOne(args[2] + "/0");
      else load.manyAtOnce(args[2], inFlight);
      load.report();
      for (int index = 0; index < inFlight; index += 1) {
        client.delete().forPath(args[2] + "/" + index);
      }
    }
  }

  private void oneByOne(String path) throws Exception {
    while (System.nanoTime() < endNs) {
      long startedNs = System.nanoTime();
      switch (workload) {
        case "get" -> client.getData().forPath(path);
        case "set" -> client.setData().forPath(path, data);
        case "create" -> {
          client.create().forPath(path + "/made", data);
          client.delete().forPath(path + "/made");
        }
        default -> {
          CountDownLatch changed = new CountDownLatch(1);
          CuratorWatcher watcher = event -> changed.countDown();
          client.getData().usingWatcher(watcher).forPath(path);
          startedNs = System.nanoTime();
          client.setData().forPath(path, data);
          changed.await();
        }
      }
      record(startedNs);
    }
  }

  private void manyAtOnce(String base, int inFlight) throws Exception {
    Semaphore ended = new Semaphore(0);
    for (int index = 0; index < inFlight; index += 1) step(base + "/" + index, ended);
    ended.acquire(inFlight);
  }

  /** Begins one operation, whose end begins the next. */
  private void step(String path, Semaphore ended) throws Exception {
    if (System.nanoTime() >= endNs) {
      ended.release();
      return;
    }
    long startedNs = System.nanoTime();
    BackgroundCallback next =
        checked(
            () -> {
              record(startedNs);
              step(path, ended);
            });
    switch (workload) {
      case "get" -> client.getData().inBackground(next).forPath(path);
      case "set" -> client.setData().inBackground(next).forPath(path, data);
      case "create" -> {
        BackgroundCallback delete =
            checked(() -> client.delete().inBackground(next).forPath(path + "/made"));
        client.create().inBackground(delete).forPath(path + "/made", data);
      }
      default -> watchStep(path, ended);
    }
  }

  /** It is over when the notification and the answer are there. */
  private void watchStep(String path, Semaphore ended) throws Exception {
    long[] startedNs = new long[1];
    AtomicInteger left = new AtomicInteger(2);
    Step half =
        () -> {
          if (left.decrementAndGet() > 0) return;
          record(startedNs[0]);
          step(path, ended);
        };
    CuratorWatcher watcher = event -> half.run();
    BackgroundCallback set =
        checked(
            () -> {
              startedNs[0] = System.nanoTime();
              client.setData().inBackground(checked(half)).forPath(path, data);
            });
    client.getData().usingWatcher(watcher).inBackground(set).forPath(path);
  }

  private interface Step {
    void run() throws Exception;
  }

  /** What goes wrong ends the program: a load that does something else measures nothing. */
  private static BackgroundCallback checked(Step step) {
    return (client, event) -> {
      if (event.getResultCode() != Code.OK.intValue()) {
        System.err.println("Curator's load met " + Code.get(event.getResultCode()));
        Runtime.getRuntime().halt(1);
      }
      step.run();
    };
  }

  private void record(long startedNs) {
    long nowNs = System.nanoTime();
    if (nowNs < beginNs || nowNs > endNs) return;
    int index = count.getAndIncrement();
    if (index == 0) cpuBeforeNs = cpuNs();
    lastNs = nowNs;
    if (index < LATENCIES_MAX) latencies[index] = nowNs - startedNs;
  }

  private void report() {
    int measured = Math.min(count.get(), LATENCIES_MAX);
    Arrays.sort(latencies, 0, measured);
    double seconds = Math.max(0.001, (lastNs - beginNs) / 1e9);
    Line.print(
        "{\"perSecond\":" + Math.round(count.get() / seconds)
            + ",\"p50\":" + latencies[measured / 2] / 1_000 / 1e3
            + ",\"p99\":" + latencies[(int) (measured * 0.99)] / 1_000 / 1e3
            + ",\"count\":" + count.get()
            + ",\"cpu\":" + (cpuNs() - cpuBeforeNs) / 10 / Math.max(1, count.get()) / 1e2
            + "}");
  }

  private static long cpuNs() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime();
  }
}
