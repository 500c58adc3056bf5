import { ByteReader, ByteWriter, propertyNames, readMessage, writeMessage } from "@everhold/wire";

/** The message `MSG` at `bytes[start … end)` with an address. @throws ProtocolError when it is not valid */
export function withAddress(
  bytes: Uint8Array,
  start: number,
  end: number,
  address: string,
): Uint8Array {
  const message = readMessage(new ByteReader(bytes.subarray(start, end)));
  const writer = new ByteWriter(end - start + 64);
  writeMessage(writer, { ...message, address });
  return writer.written();
}

/**
 * The message `MSG` at `bytes[start … end)` without the id that a bridge gave it. This is of the way between
 * two brokers only: who passes the message on must not repeat it.
 * @throws ProtocolError when it is not valid
 */
export function withoutBridgeId(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const message = readMessage(new ByteReader(bytes.subarray(start, end)));
  const properties = new Map(message.properties);
  properties.delete(propertyNames.bridgeDuplicateId);
  const writer = new ByteWriter(end - start);
  writeMessage(writer, { ...message, properties });
  return writer.written();
}
