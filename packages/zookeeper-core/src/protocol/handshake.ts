import { ProtocolError } from "@everhold/base";
import {
  type ByteReader,
  flag,
  i32,
  long,
  readValue,
  struct,
  tail,
  type ValueOf,
} from "@everhold/wire";
import { buffer } from "../jute/fields.ts";
import { replyHeader, replyHeaderBytes, type ReplyHeader } from "./headers.ts";

/** Bytes of a session's password. */
export const sessionPasswordBytes = 16;

/** The first frame of a connection; it has no header. */
export const connectRequest = struct({
  /** 0. */
  protocolVersion: i32,
  /** The last transaction that the client has seen: a server that is behind it closes the connection. */
  lastZxidSeen: long,
  /** The session timeout that is asked for, in ms. */
  timeoutMs: i32,
  /** The session to go on with; 0n asks for a new one. */
  sessionId: long,
  password: buffer,
  /** Whether a server that can only read will do. Old clients leave it out. */
  readOnly: tail(flag, false),
});
/** The first frame of a connection. */
export type ConnectRequest = ValueOf<typeof connectRequest>;

/** The answer to the first frame; it has no header either. */
export const connectResponse = struct({
  protocolVersion: i32,
  /** The session timeout that the server grants, in ms; 0 or less: there is no such session. */
  timeoutMs: i32,
  sessionId: long,
  password: buffer,
  readOnly: tail(flag, false),
});
/** The answer to the first frame. */
export type ConnectResponse = ValueOf<typeof connectResponse>;

/** What a server answers to the first frame. */
export type HandshakeReply =
  | { readonly kind: "response"; readonly response: ConnectResponse }
  /** A server that can only read refuses a session with the header of an ordinary answer. */
  | { readonly kind: "refused"; readonly header: ReplyHeader };

/** Reads the answer to the first frame. @throws ProtocolError EVH_PROTOCOL */
export function readHandshakeReply(reader: ByteReader): HandshakeReply {
  if (reader.remaining === replyHeaderBytes) {
    return { kind: "refused", header: readValue(replyHeader, reader, "the refusal of a session") };
  }
  const response = readValue(connectResponse, reader, "the answer to a handshake");
  const length = response.password?.length ?? 0;
  if (response.sessionId !== 0n && response.timeoutMs > 0 && length !== sessionPasswordBytes) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read the answer to a handshake: found a password of ${length} bytes, expected ${sessionPasswordBytes}`,
    );
  }
  return { kind: "response", response };
}
