import assert from "node:assert/strict";

import { packets, type PacketOf } from "@everhold/wire";

import type { ManualWorld } from "./manual-world.test-support.ts";
import { TestClient, type SessionChoices } from "./test-client.test-support.ts";

type Resume = PacketOf<typeof packets.resume>;
type Resumed = PacketOf<typeof packets.resumed>;

/** What a test asks of RESUME. */
export type ResumeChoices = Partial<Omit<Resume, "settlements" | "hasCommit">> & {
  /** Message id and kind; of the queue "q" and the consumer 0 unless said otherwise. */
  readonly settlements?: readonly (Pick<Resume["settlements"][number], "messageId" | "kind"> &
    Partial<Resume["settlements"][number]>)[];
};

/** What RESUMED says, its settlements as numbers. */
export interface Answer {
  readonly commit: number;
  readonly code: number;
  readonly settlements: readonly number[];
}

const correlationId = 4_711;

/** Sends RESUME for the session "old", with nothing to settle unless told otherwise. */
export function sendResume(client: TestClient, choices: ResumeChoices = {}, channelId = 10): void {
  const { settlements = [], commit = null, ...rest } = choices;
  client.send(packets.resume, channelId, {
    correlationId,
    oldSession: "old",
    isLast: true,
    hasCommit: commit !== null,
    commit,
    settlements: settlements.map((one) => ({ consumerId: 0, queueName: "q", ...one })),
    reasons: null,
    ...rest,
  });
}

/** Resumes, and gives the answer. */
export async function resume(client: TestClient, choices: ResumeChoices = {}): Promise<Answer> {
  sendResume(client, choices);
  const answer: Resumed = await client.expect(packets.resumed);
  assert.equal(answer.correlationId, correlationId);
  return { commit: answer.commit, code: answer.code, settlements: [...answer.settlements] };
}

/** A client whose session says that it comes back; it is called "old" unless told otherwise. */
export async function openReturning(
  world: ManualWorld,
  choices: SessionChoices = {},
): Promise<TestClient> {
  const client = await TestClient.openMarking(world, { name: "old", ...choices });
  await resume(client, { oldSession: "" });
  return client;
}

/** Ends the connection of a client whose session fails at once, because what it sends is no frame. */
export async function failSession(client: TestClient): Promise<void> {
  client.socket.send(Uint8Array.of(0x80, 0, 0, 0));
  await client.world.settle();
}
