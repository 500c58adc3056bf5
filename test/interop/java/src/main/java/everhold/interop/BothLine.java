package everhold.interop;

import java.util.HexFormat;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * One message as a line of {@code name=type:value}, sorted by name. Programs in two languages write the same
 * line about the same message: strings by their UTF-16 units, floating point numbers by their bits.
 */
final class BothLine {
  private static final HexFormat HEX = HexFormat.of();

  final SortedMap<String, String> tokens = new TreeMap<>();

  static BothLine parse(String line) {
    BothLine result = new BothLine();
    for (String token : line.split(" ")) {
      String[] pair = token.split("=", 2);
      result.tokens.put(pair[0], pair[1]);
    }
    return result;
  }

  /** Notes a value under {@code name}, which may hold any character. */
  BothLine put(String name, Object value) {
    tokens.put(escape(name), format(value));
    return this;
  }

  /** The value under a name; null where there is none, and for the value null. */
  Object get(String name) {
    String token = tokens.get(name);
    return token == null ? null : parseValue(token);
  }

  /** The values whose names begin with {@code prefix}, by the rest of their names, in order. */
  Map<String, Object> under(String prefix) {
    Map<String, Object> found = new TreeMap<>();
    for (var entry : tokens.tailMap(prefix).entrySet()) {
      if (!entry.getKey().startsWith(prefix)) break;
      found.put(unescape(entry.getKey().substring(prefix.length())), parseValue(entry.getValue()));
    }
    return found;
  }

  @Override
  public String toString() {
    StringBuilder line = new StringBuilder();
    tokens.forEach((name, value) -> line.append(name).append('=').append(value).append(' '));
    return line.toString().stripTrailing();
  }

  private static String format(Object value) {
    if (value == null) return "null:";
    if (value instanceof Boolean) return "boolean:" + value;
    if (value instanceof Byte) return "byte:" + value;
    if (value instanceof Short) return "short:" + value;
    if (value instanceof Integer) return "int:" + value;
    if (value instanceof Long) return "long:" + value;
    if (value instanceof Float number) return "float:" + HEX.toHexDigits(Float.floatToIntBits(number));
    if (value instanceof Double number) return "double:" + HEX.toHexDigits(Double.doubleToLongBits(number));
    if (value instanceof Character) return "char:" + escape(value.toString());
    if (value instanceof byte[] bytes) return "bytes:" + HEX.formatHex(bytes);
    if (value instanceof CharSequence) return "string:" + escape(value.toString());
    throw new IllegalArgumentException("a " + value.getClass() + " has no form here");
  }

  private static Object parseValue(String token) {
    String[] pair = token.split(":", 2);
    String text = pair[1];
    return switch (pair[0]) {
      case "null" -> null;
      case "boolean" -> Boolean.valueOf(text);
      case "byte" -> Byte.valueOf(text);
      case "short" -> Short.valueOf(text);
      case "int" -> Integer.valueOf(text);
      case "long" -> Long.valueOf(text);
      case "float" -> Float.intBitsToFloat(HexFormat.fromHexDigits(text));
      case "double" -> Double.longBitsToDouble(HexFormat.fromHexDigitsToLong(text));
      case "char" -> unescape(text).charAt(0);
      case "bytes" -> HEX.parseHex(text);
      case "string" -> unescape(text);
      default -> throw new IllegalArgumentException("unknown type " + pair[0]);
    };
  }

  private static String escape(String text) {
    StringBuilder out = new StringBuilder(text.length());
    for (int index = 0; index < text.length(); index += 1) {
      char unit = text.charAt(index);
      boolean plain = unit > ' ' && unit < 127 && unit != '=' && unit != '\\';
      if (plain) out.append(unit);
      else out.append("\\u").append(HEX.toHexDigits(unit));
    }
    return out.toString();
  }

  private static String unescape(String text) {
    StringBuilder out = new StringBuilder(text.length());
    for (int index = 0; index < text.length(); index += 1) {
      char unit = text.charAt(index);
      if (unit != '\\') {
        out.append(unit);
        continue;
      }
      out.append((char) HexFormat.fromHexDigits(text, index + 2, index + 6));
      index += 5;
    }
    return out.toString();
  }
}
