import { checkTimeout, deadlineIn, type WaitOptions } from "@everhold/env";
import type { ConnectionCore } from "../connection/connection-core.ts";
import type { EncodedMessage } from "../message/encode-message.ts";
import type { SendTarget } from "../message/send-options.ts";
import { flavours, type CoreSession } from "../session/core-session.ts";

/**
 * Sends a message whose body is streamed in a session of its own: what is sent on others does not wait for
 * it, and when it fails the broker forgets with the session what had come.
 *
 * @throws EverholdError with outcome `none` or `unknown`
 */
export async function sendInOwnSession(
  core: ConnectionCore,
  target: SendTarget,
  wait: WaitOptions | undefined,
  encode: (session: CoreSession) => EncodedMessage,
): Promise<void> {
  const attempt = `send to ${target.address}`;
  const { ports } = core;
  const deadlineMs = deadlineIn(ports, checkTimeout(wait?.timeout, Infinity));
  const left = (): WaitOptions => {
    return { ...wait, timeout: Math.max(0, deadlineMs - ports.monotonicClock.nowMs()) };
  };
  const session = await core.openSession(flavours.plain, left(), attempt);
  try {
    await session.outbox.send(target, encode(session), left());
  } finally {
    // What becomes of the session says nothing about the message.
    await core.closeSession(session).catch(core.reportError);
  }
}
