package everhold.zookeeper;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** The lines that the caller reads: one JSON object each, in ASCII. */
final class Line {
  private static final PrintStream OUT =
      new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.US_ASCII);

  private Line() {}

  /** Writes what has happened, and when, whole, whatever other threads write. `rest` begins with a comma, or is empty. */
  static synchronized void told(String type, String rest) {
    OUT.println(
        "{\"at\":" + System.currentTimeMillis() + ",\"type\":\"" + type + "\"" + rest + "}");
  }

  /** Writes one line. */
  static synchronized void print(String line) {
    OUT.println(line);
  }

  /** A string in JSON. */
  static String text(String value) {
    StringBuilder out = new StringBuilder("\"");
    for (int index = 0; index < value.length(); index += 1) {
      char unit = value.charAt(index);
      if (unit == '"' || unit == '\\') out.append('\\').append(unit);
      else if (unit >= ' ' && unit < 127) out.append(unit);
      else out.append(String.format("\\u%04x", (int) unit));
    }
    return out.append('"').toString();
  }
}
