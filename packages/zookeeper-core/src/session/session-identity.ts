import {
  type ConnectRequest,
  type ConnectResponse,
  sessionPasswordBytes,
} from "../protocol/handshake.ts";

/** A session that a server has granted. Who has `id` and `password` can take it over: they are secrets. */
export interface SessionIdentity {
  readonly id: bigint;
  readonly password: Uint8Array;
  /** Milliseconds, as granted last. */
  timeoutMs: number;
  /** Which of this client's sessions, from 1. */
  readonly epoch: number;
  /** Whether the application has been told of it. */
  isAnnounced: boolean;
}

/** What a server is asked for: this session, or a new one. */
export function helloFor(
  identity: Pick<SessionIdentity, "id" | "password"> | undefined,
  { timeoutMs, lastZxid }: { readonly timeoutMs: number; readonly lastZxid: bigint },
): ConnectRequest {
  return {
    protocolVersion: 0,
    lastZxidSeen: lastZxid,
    timeoutMs,
    sessionId: identity?.id ?? 0n,
    password: identity?.password ?? new Uint8Array(sessionPasswordBytes),
    readOnly: false,
  };
}

/** Whether a server grants the session that it was asked for. Some give another one instead, which is as good as no. */
export function isGranted(
  identity: Pick<SessionIdentity, "id"> | undefined,
  { sessionId, timeoutMs }: ConnectResponse,
): boolean {
  if (timeoutMs <= 0 || sessionId === 0n) return false;
  return identity === undefined || identity.id === sessionId;
}
