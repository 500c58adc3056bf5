import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Prng } from "@everhold/base";
import { ByteWriter, magicBytes, packetById, packets, type PacketDefinition } from "@everhold/wire";

import { frame, RawClient } from "./raw-client.test-support.ts";
import { anyBody, messageTo, sampleBody } from "./sample-value.test-support.ts";
import { TestBroker } from "./test-broker.test-support.ts";
import { until } from "./until.test-support.ts";
import { Witness } from "./witness.test-support.ts";

const frameBytesMax = 1024 * 1024;
const none = new Uint8Array(0);
const utf8 = new TextEncoder();

/** Bodies tried for each packet. */
const garbageCount = 4;
const truncationCountMax = 12;

const clientPackets = Object.values<PacketDefinition>(packets).filter(
  ({ direction }) => direction !== "broker",
);

/** What most clients send most. */
const busyPackets: readonly [PacketDefinition, ...PacketDefinition[]] = [
  packets.send,
  packets.createConsumer,
  packets.flowToken,
  packets.sessionStart,
  packets.commit,
  packets.rollback,
  packets.createQueueV2,
];

const badFrames: readonly (readonly [what: string, code: string, bytes: Uint8Array])[] = [
  ["a frame over the limit", "EVH_FRAME_TOO_LARGE", frame(71, 10, none, frameBytesMax)],
  ["the largest length there is", "EVH_FRAME_TOO_LARGE", frame(71, 10, none, 0x7fff_ffff)],
  ["a frame of length -1", "EVH_PROTOCOL", frame(71, 10, none, -1)],
  ["the most negative length", "EVH_PROTOCOL", frame(71, 10, none, -0x8000_0000)],
  ["a frame of length 0", "EVH_PROTOCOL", frame(71, 10, none, 0)],
  ["a frame shorter than its header", "EVH_PROTOCOL", frame(71, 10, none, 8)],
  ["a packet of a session on channel 0", "EVH_PROTOCOL", frame(packets.send.id, 0, none)],
  ["a packet of a session on channel 1", "EVH_PROTOCOL", frame(packets.commit.id, 1, none)],
  ["a packet on the replication channel", "EVH_PROTOCOL", frame(91, 2, none)],
  ["a packet on channel -1", "EVH_PROTOCOL", frame(packets.ping.id, -1, none)],
  [
    "a queue name that says it has 2 GiB",
    "EVH_",
    frame(packets.queueQuery.id, 10, bytesOf(0x7f, 0xff, 0xff, 0xff, 0x41, 0)),
  ],
  [
    "a queue name of negative size",
    "EVH_PROTOCOL",
    frame(packets.queueQuery.id, 10, bytesOf(0xff, 0xff, 0xff, 0xf0, 0x41, 0)),
  ],
  [
    "a queue name of an odd number of bytes",
    "EVH_PROTOCOL",
    frame(packets.queueQuery.id, 10, bytesOf(0, 0, 0, 3, 0x41, 0, 0x42)),
  ],
  [
    "a message whose body says it has 2 GiB",
    "EVH_PROTOCOL",
    frame(packets.send.id, 10, bytesOf(0x7f, 0xff, 0xff, 0xff, ...new Uint8Array(60))),
  ],
  [
    "properties that say there are 2 billion of them",
    "EVH_PROTOCOL",
    frame(packets.send.id, 10, lyingProperties()),
  ],
];

describe("bad frames", () => {
  let test: TestBroker;

  before(async () => {
    test = await TestBroker.start({ frameBytesMax, messageBytesMax: frameBytesMax / 2 });
  });

  after(() => test[Symbol.asyncDispose]());

  for (const [what, code, bytes] of badFrames) {
    it(`${what} ends its connection with one line in the log and disturbs nobody`, async () => {
      await using witness = await Witness.start(test.url);
      const client = await RawClient.open(test);
      client.write(bytes);
      await client.isEnded();
      await witness.sees(3);
      const lines = client.logged();
      assert.deepEqual(
        lines.map(({ level, message }) => [level, message]),
        [["warn", "A connection was closed"]],
      );
      assert.ok(String(lines[0]?.fields["code"]).startsWith(code), JSON.stringify(lines));
    });
  }

  it("every id that is no packet of a client ends its connection with one line", async () => {
    await using witness = await Witness.start(test.url);
    for (let id = 0; id < 256; id += 1) {
      const direction = packetById(id)?.direction;
      if (direction === "client" || direction === "both") continue;
      await Promise.all(
        [0, 1, 10].map(async (channelId) => {
          const client = await RawClient.open(test);
          client.write(frame(id, channelId, none));
          await client.isEnded();
          assert.equal(client.logged().length, 1, `id ${id} on channel ${channelId}`);
        }),
      );
    }
    await witness.sees(3);
  });

  it("every packet with a garbage body is answered or ends its connection with one line", async () => {
    const seed = seedOf("EVERHOLD_GARBAGE_SEED");
    const prng = new Prng(seed);
    await using witness = await Witness.start(test.url);
    for (const definition of clientPackets) {
      for (let round = 0; round < garbageCount; round += 1) {
        const body = randomBytes(prng, prng.integer(0, 80));
        await attack(test, definition, body, `seed ${seed}, ${definition.name}, round ${round}`);
      }
    }
    await witness.sees(3);
  });

  it("every packet cut short is answered or ends its connection with one line", async () => {
    await using witness = await Witness.start(test.url);
    for (const definition of clientPackets) {
      const body = sampleBody(definition);
      const step = Math.max(1, Math.ceil(body.length / truncationCountMax));
      for (let end = 0; end <= body.length; end += step) {
        await attack(test, definition, body.subarray(0, end), `${definition.name}, ${end} bytes`);
      }
    }
    await witness.sees(3);
  });

  it("a message with changed bytes is refused or stored, and never harms another", async () => {
    const seed = seedOf("EVERHOLD_MESSAGE_SEED");
    const prng = new Prng(seed);
    await using witness = await Witness.start(test.url);
    for (let round = 0; round < 300; round += 1) {
      const message = messageTo("changed");
      for (let count = prng.integer(1, 3); count > 0; count -= 1) {
        message[prng.integer(0, message.length - 1)] = prng.integer(0, 255);
      }
      const client = await RawClient.open(test);
      const value = { message, requiresResponse: true, correlationId: 1, senderId: 0 };
      client.send(packets.send, 10, value);
      await checkOutcome(client, `seed ${seed}, round ${round}`);
    }
    await witness.sees(3);
  });

  it("valid packets in any order, with any values, are answered or end their connection", async () => {
    const seed = seedOf("EVERHOLD_ORDER_SEED");
    const prng = new Prng(seed);
    await using witness = await Witness.start(test.url);
    for (let round = 0; round < 250; round += 1) {
      const client = await RawClient.open(test, prng.chance(0.5));
      const history: string[] = [];
      for (let count = prng.integer(1, 40); count > 0; count -= 1) {
        const definition = prng.chance(0.5)
          ? prng.pick(busyPackets)
          : clientPackets[prng.integer(0, clientPackets.length - 1)];
        assert.ok(definition);
        // A session that is closed at once sees little.
        if (definition === packets.sessionClose && prng.chance(0.8)) continue;
        history.push(definition.name);
        client.write(frame(definition.id, channelOf(definition), anyBody(definition, prng)));
        if (!prng.chance(0.2)) continue;
        await new Promise((resolve) => setImmediate(resolve));
        client.acknowledgeNewest();
      }
      await checkOutcome(client, `seed ${seed}, round ${round}: ${history.join(" ")}`);
    }
    await witness.sees(3);
    test.broker.assertInvariants();
    await until(() => test.broker.connectionCount === 1, "only the witness is connected");
  });

  it("a frame that is cut off in the middle leaves one line and nothing else", async () => {
    await using witness = await Witness.start(test.url);
    const whole = frame(packets.send.id, 10, messageTo("cut off"));
    for (let end = 1; end < whole.length; end += 9) {
      const client = await RawClient.open(test);
      client.write(whole.subarray(0, end));
      client.socket.end();
      await client.isEnded();
      assert.deepEqual(
        client.logged().map(({ level, fields }) => [level, fields["code"]]),
        [["warn", "EVH_PROTOCOL"]],
        `${end} bytes`,
      );
    }
    await witness.sees(3);
    await until(() => test.broker.connectionCount === 1, "only the witness is connected");
    assert.ok(!test.broker.queues().some(({ name }) => name === "cut off"));
  });

  it("packets on channels without a session are dropped, and the connection lives on", async () => {
    await using witness = await Witness.start(test.url);
    const client = await RawClient.greet(test);
    for (const channelId of [10, 11, 4_294_967_296, Number.MAX_SAFE_INTEGER]) {
      client.write(frame(packets.send.id, channelId, messageTo("nowhere")));
      client.write(frame(packets.commit.id, channelId, none));
      client.write(frame(200, channelId, none));
    }
    assert.equal(await client.isRefused(), false);
    client.createSession(10);
    await client.expect(packets.createSessionResponse);
    assert.deepEqual(client.logged(), []);
    await client.close();
    await witness.sees(3);
  });

  it("a second session on the channel of another ends the connection with one line", async () => {
    await using witness = await Witness.start(test.url);
    const client = await RawClient.open(test);
    client.createSession(10);
    await client.isEnded();
    assert.equal(client.logged().length, 1);
    await witness.sees(3);
  });

  for (const [what, address] of absurdAddresses()) {
    it(`a send to ${what} is answered or ends its connection with one line`, async () => {
      await using witness = await Witness.start(test.url);
      const client = await RawClient.open(test);
      const message = messageTo(address);
      const value = { message, requiresResponse: true, correlationId: 1, senderId: 0 };
      client.send(packets.send, 10, value);
      await checkOutcome(client, what);
      await witness.sees(3);
    });
  }

  it("random bytes after the magic end the connection, which is told or counted, or wait for more", async () => {
    const seed = seedOf("EVERHOLD_BYTES_SEED");
    const prng = new Prng(seed);
    await using witness = await Witness.start(test.url);
    const lineCountBefore = test.log.lines.length;
    const told = (): number =>
      test.log.lines
        .slice(lineCountBefore)
        .filter(({ message }) => message === "A connection was closed")
        .reduce((sum, { fields }) => sum + Number(fields["times"] ?? 1), 0);
    let endedCount = 0;
    for (let round = 0; round < 200; round += 1) {
      const client = await RawClient.dial(test);
      client.write(magicBytes);
      // Most random lengths are refused at once; a small one makes the broker look at the rest.
      const bytes = randomBytes(prng, 64);
      const isSmall = prng.chance(0.5);
      if (isSmall) bytes.set([0, 0, 0, prng.integer(0, 59)]);
      else bytes[0] = prng.integer(1, 255);
      client.write(bytes);
      if (isSmall) client.socket.end();
      await client.isEnded();
      if (!isSmall) endedCount += 1;
      assert.ok(client.logged().length <= 1, `seed ${seed}, round ${round}`);
    }
    // So many in so short a time are counted, and told by the next sweep.
    await until(
      () => told() >= endedCount,
      () => `seed ${seed}: ${told()} of at least ${endedCount} were told`,
    );
    assert.ok(told() <= 200, `seed ${seed}: ${told()}`);
    await witness.sees(3);
  });
});

/** Sends one packet, on its own channel and on a session's, and checks what the broker makes of it. */
async function attack(
  test: TestBroker,
  definition: PacketDefinition,
  body: Uint8Array,
  what: string,
): Promise<void> {
  const client = await RawClient.open(test);
  client.write(frame(definition.id, channelOf(definition), body));
  await checkOutcome(client, what);
}

function channelOf({ channel }: PacketDefinition): number {
  return { connection: 0, administration: 1, session: 10, any: 10 }[channel];
}

/** Either the connection ended with one line in the log, or it lives on without any. */
async function checkOutcome(client: RawClient, what: string): Promise<void> {
  const isRefused = await client.isRefused();
  const lines = client.logged();
  assert.equal(lines.length, isRefused ? 1 : 0, `${what}: ${JSON.stringify(lines)}`);
  await client.close();
}

function absurdAddresses(): readonly (readonly [what: string, address: string | null])[] {
  return [
    ["no address", null],
    ["an empty address", ""],
    ["an address of 1,001 characters", "a".repeat(1_001)],
    ["an address of 4,096 characters", "a".repeat(4_096)],
    ["an address with control characters", "a\0b\n\x1b[2J"],
    ["half a surrogate pair", "\ud83d"],
    ["a queue without an address", "::queue"],
    ["an address without a queue", "address::"],
    ["too many colons", "::::"],
    ["a path", "../../etc/passwd"],
    ["a pattern", "#"],
    ["the list of queues", "$everhold.queues"],
    ["the management address", "activemq.management"],
  ];
}

/** A message whose properties end right after a count that is a lie. */
function lyingProperties(): Uint8Array {
  const message = messageTo("a");
  const writer = new ByteWriter();
  const count = message.length - propertiesBytes(message);
  writer.raw(message.subarray(0, count));
  writer.u32(0x7fff_ffff);
  writer.raw(new Uint8Array(20));
  return writer.toBytes();
}

/** From the count of properties to the end: the key of the first one is found by its text. */
function propertiesBytes(message: Uint8Array): number {
  const key = "_AMQ_ROUTING_TYPE";
  const text = String.fromCharCode(...message);
  const spread = [...utf8.encode(key)].map((byte) => `${String.fromCharCode(byte)}\0`).join("");
  const at = text.indexOf(spread);
  assert.ok(at > 8, "the message has the property");
  return message.length - (at - 8);
}

function randomBytes(prng: Prng, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  prng.fill(bytes);
  return bytes;
}

function bytesOf(...bytes: readonly number[]): Uint8Array {
  return Uint8Array.from(bytes);
}

/** A fixed seed, unless a failure is to be repeated; every failure names it. */
function seedOf(variable: string): number {
  return Number(process.env[variable] ?? "1");
}
