package everhold.zookeeper;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.CuratorWatcher;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.WatchedEvent;

/**
 * Curator as an application uses it, telling what it is told: states, leadership, watches. It takes "read", "write" and
 * "create" on its standard input, and ends with it.
 *
 * <p>Arguments: connect string, session timeout in ms, base path, "main", "rival" (which only wants to lead) or
 * "stranger" (which does nothing by itself), "read-only" where it may use a server that can only read, else "-".
 */
public final class CuratorContestant {
  private static final int PAUSE_MS = 10;
  private static final int STALL_MS = 500;

  private CuratorContestant() {}

  public static void main(String[] args) throws Exception {
    String base = args[2];
    CuratorFramework client =
        CuratorFrameworkFactory.builder()
            .connectString(args[0])
            .sessionTimeoutMs(Integer.parseInt(args[1]))
            .connectionTimeoutMs(3_000)
            .retryPolicy(new ExponentialBackoffRetry(100, 3))
            .canBeReadOnly(args[4].equals("read-only"))
            // Servers are behind proxies here, whose addresses no configuration has.
            .ensembleTracker(false)
            .build();
    client
        .getConnectionStateListenable()
        .addListener(
            (each, state) -> Line.told("state", ",\"state\":" + Line.text(state.name())));
    client.start();
    client.blockUntilConnected();
    if (args[3].equals("main")) setUp(client, base);
    if (!args[3].equals("stranger")) lead(client, base, args[3]);
    long sessionId = client.getZookeeperClient().getZooKeeper().getSessionId();
    Line.told("ready", ",\"sessionId\":\"" + Long.toHexString(sessionId) + "\"");
    obey(client, base);
    Runtime.getRuntime().halt(0);
  }

  /** A node of each kind, and a watch of each. */
  private static void setUp(CuratorFramework client, String base) throws Exception {
    client.create().withMode(CreateMode.EPHEMERAL).forPath(base + "/plain");
    PersistentNode held =
        new PersistentNode(client, CreateMode.EPHEMERAL, false, base + "/held", new byte[0]);
    held.start();
    held.waitForInitialCreate(30, TimeUnit.SECONDS);
    CuratorWatcher once = event -> watchTold("once", event);
    client.getData().usingWatcher(once).forPath(base + "/once");
    PersistentWatcher kept = new PersistentWatcher(client, base + "/kept", true);
    kept.getListenable().addListener(event -> watchTold("kept", event));
    kept.start();
  }

  private static void watchTold(String name, WatchedEvent event) {
    Line.told(
        "watch", ",\"name\":" + Line.text(name) + ",\"event\":" + Line.text(event.getType().name()));
  }

  private static void lead(CuratorFramework client, String base, String id) throws Exception {
    LeaderLatch latch = new LeaderLatch(client, base + "/latch", id);
    latch.start();
    Thread asking = new Thread(() -> askForLeadership(latch), "leadership");
    asking.setDaemon(true);
    asking.start();
  }

  /** Asks all the time, as who acts under leadership would, and tells when the answer is another one. */
  private static void askForLeadership(LeaderLatch latch) {
    boolean leads = false;
    long lastMs = System.currentTimeMillis();
    while (true) {
      boolean answer = latch.hasLeadership();
      long nowMs = System.currentTimeMillis();
      if (nowMs - lastMs > STALL_MS) Line.told("woke", ",\"leads\":" + answer);
      if (answer != leads) Line.told("leads", ",\"leads\":" + answer);
      leads = answer;
      lastMs = nowMs;
      try {
        Thread.sleep(PAUSE_MS);
      } catch (InterruptedException end) {
        return;
      }
    }
  }

  private static void obey(CuratorFramework client, String base) throws Exception {
    BufferedReader input =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String word = input.readLine(); word != null; word = input.readLine()) {
      String call = word;
      Thread thread = new Thread(() -> call(client, base, call), "call");
      thread.setDaemon(true);
      thread.start();
    }
  }

  private static void call(CuratorFramework client, String base, String call) {
    String answer;
    try {
      if (call.equals("read")) client.getData().forPath(base + "/value");
      else if (call.equals("write")) client.setData().forPath(base + "/value", new byte[0]);
      else client.create().forPath(base + "/created");
      answer = "done";
    } catch (Exception error) {
      answer = error.getClass().getSimpleName();
    }
    Line.told("call", ",\"call\":" + Line.text(call) + ",\"answer\":" + Line.text(answer));
  }
}
