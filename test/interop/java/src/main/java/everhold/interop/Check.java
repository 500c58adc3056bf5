package everhold.interop;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
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
    if (expected instanceof List<?> wanted && actual instanceof List<?> found) {
      throw new AssertionError(what + difference(wanted, found));
    }
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

  /** Where two lists part, and what one has more often than the other: long ones are not read by anybody. */
  private static String difference(List<?> expected, List<?> actual) {
    int index = 0;
    while (index < Math.min(expected.size(), actual.size())
        && Objects.equals(expected.get(index), actual.get(index))) {
      index += 1;
    }
    return " has " + actual.size() + " values, expected " + expected.size()
        + "; from index " + index + " on it is " + show(from(index, actual))
        + ", expected " + show(from(index, expected))
        + "; too many are " + show(without(expected, actual))
        + ", missing are " + show(without(actual, expected));
  }

  private static List<?> from(int index, List<?> values) {
    return values.subList(index, Math.min(index + 20, values.size()));
  }

  /** What is left of {@code values} when each of {@code taken} takes away one. */
  private static List<Object> without(List<?> taken, List<?> values) {
    Map<Object, Integer> counts = new HashMap<>();
    for (Object value : taken) counts.merge(value, 1, Integer::sum);
    List<Object> rest = new ArrayList<>();
    for (Object value : values) {
      if (counts.merge(value, -1, Integer::sum) < 0) rest.add(value);
    }
    return rest;
  }

  private static String show(Object value) {
    if (value == null) return "null";
    String text = value instanceof byte[] bytes ? Arrays.toString(bytes) : String.valueOf(value);
    String shown = text.length() <= 300 ? text : text.substring(0, 300) + "… (" + text.length() + " characters)";
    return value.getClass().getSimpleName() + " " + shown;
  }
}
