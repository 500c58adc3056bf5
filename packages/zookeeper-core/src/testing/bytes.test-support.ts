import { ProtocolError } from "@everhold/base";
import { ByteReader, ByteWriter, type Field, readValue } from "@everhold/wire";

/** The bytes of hex digits with any white space or bars between them. */
export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(/[\s|]/g, ""), "hex"));
}

/** `value` as hex digits. */
export function hexOf<T>(field: Field<T>, value: T): string {
  return Buffer.from(bytesOf(field, value)).toString("hex");
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

/** What `decode` gives, or the typed error it throws; any other error passes through. */
export function typedOutcome<T>(decode: () => T): T | ProtocolError {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
}
