import { int, RawZooKeeper, sessionOf } from "./raw-zookeeper.ts";

const closeSession = -11;

/** What {@link killSession} is too late for. */
export class SessionEndedAlready extends Error {
  constructor(sessionId: bigint) {
    super(`session ${sessionId.toString(16)} could not be taken: it has ended already`);
  }
}

/**
 * Ends a session from elsewhere: another connection takes it and closes it, as an administrator's tool would. When
 * this returns its ephemeral nodes are gone, and its owner has not been told yet.
 *
 * @param clientPort of any server of the ensemble
 * @throws SessionEndedAlready
 */
export async function killSession(clientPort: number, sessionId: bigint): Promise<void> {
  for (let isFirst = true; ; isFirst = false) {
    using connection = await RawZooKeeper.connect(clientPort);
    const password = passwordOf(sessionId);
    const taken = connection.handshake(4000, { sessionId, password });
    // Right behind it: the owner, whose connection ends now, is back in a moment.
    connection.sendFrame(Buffer.concat([int(1), int(closeSession)]));
    const answer = await taken;
    if (sessionOf(answer).sessionId !== BigInt.asIntN(64, sessionId)) {
      if (!isFirst) return;
      throw new SessionEndedAlready(sessionId);
    }
    try {
      await connection.nextFrame();
      return;
    } catch {
      // Its owner, who lost the session by the handshake, has it back already: once more.
    }
  }
}

/**
 * What a server gives a session as its password: 16 bytes of a `java.util.Random` whose seed is the session's id and
 * a constant (`ZooKeeperServer.generatePasswd`). Whoever knows an id has the session.
 */
export function passwordOf(sessionId: bigint): Uint8Array {
  const mask = (1n << 48n) - 1n;
  const multiplier = 0x5deece66dn;
  let seed = (sessionId ^ 0xb3415c00n ^ multiplier) & mask;
  const bytes = Buffer.alloc(16);
  for (let offset = 0; offset < bytes.length; offset += 4) {
    seed = (seed * multiplier + 0xbn) & mask;
    bytes.writeUInt32LE(Number(seed >> 16n), offset);
  }
  return bytes;
}
