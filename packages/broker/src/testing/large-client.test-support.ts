import assert from "node:assert/strict";

import {
  ByteReader,
  ByteWriter,
  packets,
  readHeaders,
  writeHeaders,
  type MessageHeaders,
  type TypedValue,
} from "@everhold/wire";

import type { TestClient } from "./test-client.test-support.ts";

/** What a large message is sent with. */
export interface LargeChoices {
  readonly address?: string;
  readonly durable?: boolean;
  readonly expiration?: number;
  readonly properties?: Readonly<Record<string, TypedValue>>;
}

/** A large message as it came to a consumer: so much of it as has come. */
export interface LargeReceived extends MessageHeaders {
  readonly consumerId: number;
  readonly deliveryCount: number;
  readonly largeMessageSize: number;
  readonly body: Uint8Array;
  readonly partSizes: readonly number[];
  readonly isWhole: boolean;
}

/** Bytes that tell where they are. */
export function largeBytes(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let index = 0; index < size; index += 1)
    bytes[index] = (index * 31 + seed + (index >> 9)) & 255;
  return bytes;
}

/** The headers of a large message. */
export function largeHeaders(choices: LargeChoices = {}): Uint8Array {
  const { address = "q", durable = true, expiration = 0, properties = {} } = choices;
  const writer = new ByteWriter();
  writeHeaders(writer, {
    messageId: 0,
    address,
    userId: null,
    type: 4,
    durable,
    expiration,
    timestamp: 0,
    priority: 4,
    properties: new Map<string, TypedValue>(Object.entries(properties)),
  });
  return writer.toBytes();
}

/** Says that a large message begins. */
export function beginLarge(client: TestClient, choices: LargeChoices = {}, channelId = 10): void {
  client.send(packets.sendLarge, channelId, { headers: largeHeaders(choices) });
}

/** Sends a part; one with a `size` is the last one, and is answered. */
export function sendPart(
  client: TestClient,
  part: Uint8Array,
  size?: number,
  channelId = 10,
): void {
  client.send(packets.sendContinuation, channelId, {
    part,
    continues: size === undefined,
    messageBodySize: size ?? null,
    requiresResponse: size !== undefined,
    correlationId: size === undefined ? 0 : 77,
    senderId: 0,
  });
}

/** Sends a whole large message in parts of 100,000 bytes. */
export function sendLarge(
  client: TestClient,
  body: Uint8Array,
  choices: LargeChoices = {},
  channelId = 10,
): void {
  beginLarge(client, choices, channelId);
  const step = 100_000;
  for (let start = 0; start < body.length; start += step) {
    const isLast = start + step >= body.length;
    const part = body.subarray(start, start + step);
    sendPart(client, part, isLast ? body.length : undefined, channelId);
  }
}

/** Takes one large message, or as much of it as has come, from the front of what a client received. */
export async function takeLarge(client: TestClient): Promise<LargeReceived> {
  await client.settle();
  const first = client.frames.shift();
  assert.ok(first !== undefined, "a large message is expected, and nothing came");
  const { headers, ...head } = client.decode(packets.receiveLarge, first);
  const parts: Uint8Array[] = [];
  let isWhole = false;
  while (!isWhole && client.frames[0]?.name === "SESS_RECEIVE_CONTINUATION") {
    const frame = client.frames.shift();
    assert.ok(frame !== undefined);
    const { part, continues, consumerId } = client.decode(packets.receiveContinuation, frame);
    assert.equal(consumerId, head.consumerId);
    parts.push(part);
    isWhole = !continues;
  }
  return {
    ...readHeaders(new ByteReader(headers)),
    ...head,
    body: Buffer.concat(parts),
    partSizes: parts.map((part) => part.length),
    isWhole,
  };
}
