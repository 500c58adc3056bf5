package everhold.zookeeper;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.UriSpec;
import org.apache.curator.x.discovery.details.JsonInstanceSerializer;

/**
 * Curator's recipes, used as they come. Each line of the standard input is a number and a call, in words; the answer has
 * the number again, as calls may wait for each other. It ends with its input.
 *
 * <p>Arguments: connect string, session timeout in ms.
 */
public final class CuratorRecipes {
  private static final long PATIENCE_S = 120;

  private final CuratorFramework client;
  private final Map<String, ServiceDiscovery<Object>> discoveries = new ConcurrentHashMap<>();
  private final Map<String, ServiceInstance<Object>> registered = new ConcurrentHashMap<>();
  private final Map<String, GroupMember> members = new ConcurrentHashMap<>();
  private final Map<String, SharedCount> counts = new ConcurrentHashMap<>();
  private final Map<String, DistributedDoubleBarrier> doubleBarriers = new ConcurrentHashMap<>();

  private CuratorRecipes(CuratorFramework client) {
    this.client = client;
  }

  public static void main(String[] args) throws Exception {
    CuratorFramework client =
        CuratorFrameworkFactory.builder()
            .connectString(args[0])
            .sessionTimeoutMs(Integer.parseInt(args[1]))
            .retryPolicy(new ExponentialBackoffRetry(100, 10))
            .build();
    client.start();
    client.blockUntilConnected();
    CuratorRecipes recipes = new CuratorRecipes(client);
    BufferedReader input =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String[] words = line.split(" ");
      Thread thread = new Thread(() -> recipes.answer(words), "call");
      thread.setDaemon(true);
      thread.start();
    }
    Runtime.getRuntime().halt(0);
  }

  private void answer(String[] words) {
    String answer;
    try {
      answer = ",\"answer\":" + call(words);
    } catch (Exception error) {
      answer = ",\"error\":" + Line.text(String.valueOf(error));
    }
    Line.told("answer", ",\"number\":" + words[0] + answer);
  }

  /** The answer in JSON. */
  private String call(String[] words) throws Exception {
    String path = words[2];
    switch (words[1]) {
      case "register":
        return register(path, words);
      case "unregister":
        discovery(path).unregisterService(registered.remove(words[3]));
        return "null";
      case "instances":
        return instances(path, words[3]);
      case "join":
        GroupMember member =
            new GroupMember(client, path, words[3], words[4].getBytes(StandardCharsets.UTF_8));
        members.put(path, member);
        member.start();
        return "null";
      case "members":
        return members(path);
      case "leave":
        members.remove(path).close();
        return "null";
      case "increment":
        return sum(atomic(path).increment());
      case "get":
        return sum(atomic(path).get());
      case "compareAndSet":
        return String.valueOf(
            atomic(path)
                .compareAndSet(Long.valueOf(words[3]), Long.valueOf(words[4]))
                .succeeded());
      case "count":
        return String.valueOf(count(path).getCount());
      case "setCount":
        count(path).setCount(Integer.parseInt(words[3]));
        return "null";
      case "trySetCount":
        SharedCount count = count(path);
        return String.valueOf(
            count.trySetCount(count.getVersionedValue(), Integer.parseInt(words[3])));
      case "setBarrier":
        new DistributedBarrier(client, path).setBarrier();
        return "null";
      case "removeBarrier":
        new DistributedBarrier(client, path).removeBarrier();
        return "null";
      case "passBarrier":
        return String.valueOf(
            new DistributedBarrier(client, path).waitOnBarrier(PATIENCE_S, TimeUnit.SECONDS));
      case "enter":
        DistributedDoubleBarrier barrier =
            new DistributedDoubleBarrier(client, path, Integer.parseInt(words[3]));
        doubleBarriers.put(path, barrier);
        return String.valueOf(barrier.enter(PATIENCE_S, TimeUnit.SECONDS));
      case "leaveBarrier":
        return String.valueOf(doubleBarriers.get(path).leave(PATIENCE_S, TimeUnit.SECONDS));
      default:
        throw new IllegalArgumentException(words[1]);
    }
  }

  private ServiceDiscovery<Object> discovery(String base) throws Exception {
    ServiceDiscovery<Object> before = discoveries.get(base);
    if (before != null) return before;
    ServiceDiscovery<Object> discovery =
        ServiceDiscoveryBuilder.builder(Object.class)
            .client(client)
            .basePath(base)
            .serializer(new JsonInstanceSerializer<>(Object.class, false))
            .build();
    discovery.start();
    discoveries.put(base, discovery);
    return discovery;
  }

  /** Words: base, name, id, address, port, port of TLS, payload, time, pattern of the address. */
  private String register(String base, String[] words) throws Exception {
    ServiceInstance<Object> instance =
        ServiceInstance.<Object>builder()
            .name(words[3])
            .id(words[4])
            .address(words[5])
            .port(Integer.parseInt(words[6]))
            .sslPort(Integer.parseInt(words[7]))
            .payload(words[8])
            .registrationTimeUTC(Long.parseLong(words[9]))
            .uriSpec(new UriSpec(words[10]))
            .build();
    registered.put(words[4], instance);
    discovery(base).registerService(instance);
    return "null";
  }

  private String instances(String base, String name) throws Exception {
    List<ServiceInstance<Object>> instances =
        new ArrayList<>(discovery(base).queryForInstances(name));
    instances.sort(Comparator.comparing(ServiceInstance::getId));
    List<String> found = new ArrayList<>();
    for (ServiceInstance<Object> each : instances) {
      UriSpec pattern = each.getUriSpec();
      found.add(
          "{\"name\":"
              + Line.text(each.getName())
              + ",\"id\":"
              + Line.text(each.getId())
              + ",\"address\":"
              + Line.text(String.valueOf(each.getAddress()))
              + ",\"port\":"
              + each.getPort()
              + ",\"sslPort\":"
              + each.getSslPort()
              + ",\"payload\":"
              + Line.text(String.valueOf(each.getPayload()))
              + ",\"registrationTimeUTC\":"
              + each.getRegistrationTimeUTC()
              + ",\"serviceType\":"
              + Line.text(each.getServiceType().name())
              + ",\"uri\":"
              + Line.text(pattern == null ? "" : each.buildUriSpec())
              + ",\"enabled\":"
              + each.isEnabled()
              + "}");
    }
    return "[" + String.join(",", found) + "]";
  }

  private String members(String path) {
    List<String> found = new ArrayList<>();
    for (Map.Entry<String, byte[]> each : members.get(path).getCurrentMembers().entrySet()) {
      String data = new String(each.getValue(), StandardCharsets.UTF_8);
      found.add(Line.text(each.getKey()) + ":" + Line.text(data));
    }
    return "{" + String.join(",", found) + "}";
  }

  private DistributedAtomicLong atomic(String path) {
    return new DistributedAtomicLong(client, path, new RetryNTimes(100, 10));
  }

  private static String sum(AtomicValue<Long> value) {
    if (!value.succeeded()) throw new IllegalStateException("it did not succeed");
    return Line.text(String.valueOf(value.postValue()));
  }

  private SharedCount count(String path) throws Exception {
    SharedCount before = counts.get(path);
    if (before != null) return before;
    SharedCount count = new SharedCount(client, path, 0);
    count.start();
    counts.put(path, count);
    return count;
  }
}
