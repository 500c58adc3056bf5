import assert from "node:assert/strict";

import { commitAnswers, outcomes, packets } from "@everhold/wire";
import type { Connection, Message } from "everhold";

import { RawClient } from "./robustness/raw-client.test-support.ts";

const producerId = new Uint8Array(16).fill(4);
const queueName = "numbered";
const sessionName = "golden session";
const correlationId = 1;
const rolledBack = 104;

/**
 * What the fourth format brought: commits with numbers, one that was applied and one that was rolled back, and a
 * session to which its client comes back. Its connection stays open, so that the session is not gone.
 */
export async function fillSessions(connection: Connection, port: number): Promise<void> {
  await connection.createQueue(queueName);
  await connection.send(queueName, "first");
  await connection.send(queueName, "second");
  const client = await openClient(port);
  await resume(client, "");
  client.send(packets.commitAs, 10, { correlationId, producerId, epoch: 7, number: 1 });
  await client.expect(packets.nullResponse);
  client.send(packets.acknowledge, 10, { consumerId: 0, messageId: 1, requiresResponse: false });
  client.send(packets.commitAs, 10, { correlationId, producerId, epoch: 7, number: 2 });
  assert.equal((await client.expect(packets.exception)).code, rolledBack);
  await client.consume(queueName, -1);
  await client.expect(packets.receive);
}

/** Finds all of it again. Folders of earlier formats have nothing of it. */
export async function expectSessions(
  connection: Connection,
  port: number,
  drain: (connection: Connection, queue: string) => Promise<Message[]>,
): Promise<void> {
  if ((await connection.queueInfo(queueName)) === undefined) return;
  const client = await openClient(port);
  const { applied, refused, notSeen } = outcomes;
  for (const [number, outcome] of [applied, refused, notSeen].entries()) {
    const asked = { correlationId, producerId, epoch: 7, number: number + 1 };
    client.send(packets.outcomeQuery, 10, asked);
    const found = await client.expect(packets.outcome);
    assert.equal(found.outcome, outcome);
    assert.equal(found.code, outcome === refused ? rolledBack : 0);
  }
  await resume(client, sessionName);
  const messages = await drain(connection, queueName);
  const texts = messages.map((message) => message.text());
  assert.deepEqual(texts, ["first", "second"]);
  assert.equal(messages[0]?.redelivered, true);
  await client.close();
}

function openClient(port: number): Promise<RawClient> {
  const broker = { port, sockets: [], log: { lines: [] } };
  return RawClient.open(broker, true, sessionName);
}

async function resume(client: RawClient, oldSession: string): Promise<void> {
  const nothing = { hasCommit: false, commit: null, settlements: [], reasons: null };
  client.send(packets.resume, 10, { correlationId, oldSession, isLast: true, ...nothing });
  assert.equal((await client.expect(packets.resumed)).commit, commitAnswers.notAsked);
}
