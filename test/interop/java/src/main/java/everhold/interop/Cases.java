package everhold.interop;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The cases of one program: announced first, then run one after the other, each within a time limit, so that
 * nothing hangs. One JSON line on standard output says how each ended; then the process ends.
 *
 * <p>The arguments of a program are the URL of the broker and {@code name=value} options.
 */
final class Cases {
  /** What a case does; it fails by throwing. */
  interface Case {
    void run(Scene scene) throws Exception;
  }

  private record Entry(Case body, long limitMs) {}

  /** Time for a case that waits for nothing in particular; machines that build may be slow. */
  private static final long LIMIT_MS = 180_000;

  /** Time for one that moves much data or waits for a broker to start. */
  private static final long LONG_LIMIT_MS = 240_000;

  private final String url;
  private final Map<String, String> options = new LinkedHashMap<>();
  private final Map<String, Entry> entries = new LinkedHashMap<>();

  Cases(String[] args) {
    url = args[0];
    for (int index = 1; index < args.length; index += 1) {
      String[] pair = args[index].split("=", 2);
      options.put(pair[0], pair[1]);
    }
  }

  Cases add(String name, Case body) {
    return add(name, LIMIT_MS, body);
  }

  Cases add(String name, long limitMs, Case body) {
    if (entries.put(name, new Entry(body, limitMs)) != null) {
      throw new IllegalArgumentException("two cases have the name " + name);
    }
    return this;
  }

  /** Adds a case that can only be run with an option, which the caller gives where it fits the broker. */
  Cases addWith(String option, String name, Case body) {
    return options.containsKey(option) ? add(name, LONG_LIMIT_MS, body) : this;
  }

  /** Runs the cases, or only those whose name contains the option {@code only}, and ends the process. */
  void run() {
    String only = options.getOrDefault("only", "");
    entries.keySet().removeIf(name -> !name.contains(only));
    List<String> names = new ArrayList<>();
    entries.keySet().forEach(name -> names.add(Json.text(name)));
    Json.print("{\"cases\":[" + String.join(",", names) + "]}");
    entries.forEach(this::runBounded);
    // Threads of a case that hung must not keep the process.
    Runtime.getRuntime().halt(0);
  }

  private void runBounded(String name, Entry entry) {
    long startedNs = System.nanoTime();
    String[] detail = {null};
    Thread thread = new Thread(() -> detail[0] = failure(entry.body), "case");
    thread.setDaemon(true);
    thread.start();
    try {
      thread.join(entry.limitMs);
    } catch (InterruptedException error) {
      throw new IllegalStateException(error);
    }
    if (thread.isAlive()) {
      detail[0] = "not done after " + entry.limitMs + " ms, it is here:\n" + stackOf(thread);
      thread.interrupt();
    }
    long tookMs = (System.nanoTime() - startedNs) / 1_000_000;
    Json.print(
        "{\"case\":" + Json.text(name) + ",\"ok\":" + (detail[0] == null)
            + ",\"detail\":" + Json.text(detail[0] == null ? "" : detail[0])
            + ",\"tookMs\":" + tookMs + "}");
  }

  /** Runs a case; null when it passed. */
  private String failure(Case body) {
    Throwable failure = null;
    Scene scene = new Scene(url, options);
    try {
      body.run(scene);
    } catch (Throwable error) {
      failure = error;
    }
    try {
      scene.close();
    } catch (Throwable error) {
      if (failure == null) failure = error;
    }
    return failure == null ? null : describe(failure);
  }

  private static String describe(Throwable error) {
    StringWriter text = new StringWriter();
    error.printStackTrace(new PrintWriter(text));
    return text.toString();
  }

  private static String stackOf(Thread thread) {
    StringBuilder text = new StringBuilder();
    for (StackTraceElement element : thread.getStackTrace()) {
      text.append("  at ").append(element).append('\n');
    }
    return text.toString();
  }
}
