import { toHex } from "@everhold/test-world";
import { ByteReader, ByteWriter, type Field, readValue } from "@everhold/wire";

/** `value` as hex digits. */
export function hexOf<T>(field: Field<T>, value: T): string {
  return toHex(bytesOf(field, value));
}

/** `value` as bytes. */
export function bytesOf<T>(field: Field<T>, value: T): Uint8Array {
  const writer = new ByteWriter();
  field.write(writer, value, 0);
  return writer.toBytes();
}

/** The value that `bytes` say; nothing may be left over. */
export function valueIn<T>(field: Field<T>, bytes: Uint8Array): T {
  return readValue(field, new ByteReader(bytes, { strict: true }), "the value");
}
