import { ProtocolError } from "@everhold/base";

/** The 7 bytes a CORE client sends before its first frame: `ARTEMIS`. Source: Artemis, `ActiveMQClientProtocolManager`. */
export const magicBytes: Uint8Array = new TextEncoder().encode("ARTEMIS");

const openings: readonly (readonly [prefix: string, protocol: string])[] = [
  ["AMQP", "AMQP"],
  ["CONNECT\n", "STOMP"],
  ["CONNECT\r", "STOMP"],
  ["STOMP\n", "STOMP"],
  ["STOMP\r", "STOMP"],
  ["GET ", "HTTP"],
  ["PUT ", "HTTP"],
  ["HEAD ", "HTTP"],
  ["POST ", "HTTP"],
  ["PRI * ", "HTTP/2"],
  ["PATCH ", "HTTP"],
  ["TRACE ", "HTTP"],
  ["DELETE ", "HTTP"],
  ["OPTIONS ", "HTTP"],
  ["CONNECT ", "HTTP"],
  ["SSH-", "SSH"],
];

/** The name of the protocol that connections opening with `bytes` usually speak, if it is a known one. */
export function foreignProtocolOf(bytes: Uint8Array): string | undefined {
  let text = "";
  for (const byte of bytes.subarray(0, 16)) text += String.fromCharCode(byte);
  for (const [prefix, protocol] of openings) if (text.startsWith(prefix)) return protocol;
  if (bytes[0] === 0x16 && bytes[1] === 0x03) return "TLS";
  if (bytes[0] === 0x10 && /MQTT|MQIsdp/.test(text)) return "MQTT";
  if (text.slice(5).startsWith("ActiveMQ")) return "OpenWire";
  return undefined;
}

/**
 * Refuses a connection whose bytes are not the magic. `matched` bytes of it had arrived in earlier chunks.
 * @throws ProtocolError EVH_PROTOCOL, always
 */
export function refuseForeignProtocol(chunk: Uint8Array, matched: number): never {
  const opening = new Uint8Array(matched + Math.min(chunk.length, 16));
  opening.set(magicBytes.subarray(0, matched));
  opening.set(chunk.subarray(0, 16), matched);
  const protocol = foreignProtocolOf(opening);
  const hex = Array.from(opening.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join(
    " ",
  );
  const found = protocol === undefined ? `the bytes ${hex}` : `${protocol} (the bytes ${hex})`;
  throw new ProtocolError(
    "EVH_PROTOCOL",
    `cannot open a CORE connection: found ${found}, expected the seven bytes ARTEMIS`,
  );
}
