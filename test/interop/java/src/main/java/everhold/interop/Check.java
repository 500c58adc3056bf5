package everhold.interop;

import java.util.Arrays;
import java.util.Objects;

/** Assertions that say what was expected and what was found. */
final class Check {
  /** Something that is expected to fail. */
  interface Action {
    void run() throws Exception;
  }

  private Check() {}

  /** Equal in type and value: arrays by content, floating point numbers by their bits. */
  static void equal(Object expected, Object actual, String what) {
    if (Objects.deepEquals(expected, actual)) return;
    throw new AssertionError(what + " is " + show(actual) + ", expected " + show(expected));
  }

  static void that(boolean condition, String what) {
    if (!condition) throw new AssertionError(what);
  }

  /** Runs an action that has to fail with this type of error, and returns the error. */
  static <T extends Throwable> T fails(Class<T> type, String what, Action action) throws Exception {
    try {
      action.run();
    } catch (Throwable error) {
      if (type.isInstance(error)) return type.cast(error);
      throw new AssertionError(what + " fails with " + error + ", expected " + type.getName(), error);
    }
    throw new AssertionError(what + " succeeds, expected " + type.getName());
  }

  private static String show(Object value) {
    if (value == null) return "null";
    String text = value instanceof byte[] bytes ? Arrays.toString(bytes) : String.valueOf(value);
    String shown = text.length() <= 300 ? text : text.substring(0, 300) + "… (" + text.length() + " characters)";
    return value.getClass().getSimpleName() + " " + shown;
  }
}
