import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { connect } from "everhold";
import { magicBytes, packets } from "@everhold/wire";

import { frame, RawClient } from "./raw-client.test-support.ts";
import { messageTo } from "./sample-value.test-support.ts";
import { TestBroker } from "./test-broker.test-support.ts";
import { until } from "./until.test-support.ts";
import { Witness } from "./witness.test-support.ts";

const mebibyte = 1024 * 1024;

describe("slow and silent clients", { concurrency: true }, () => {
  let test: TestBroker;

  before(async () => {
    // Longer than a machine that stands still holds up a client that does speak.
    test = await TestBroker.start({
      handshakeTimeoutMs: 10_000,
      connectionTtlMs: 10_000,
      journal: { tailCacheBytes: 4 * mebibyte, readCacheBytes: 4 * mebibyte },
    });
  });

  after(() => test[Symbol.asyncDispose]());

  it("a client that says nothing is sent away when its time is over", async () => {
    await using witness = await Witness.start(test.url, "beside silence");
    const client = await RawClient.dial(test);
    await client.isEnded();
    assertOneLine(client, "EVH_CONNECTION_TIMEOUT");
    await witness.sees(3);
  });

  it("a client that says what it speaks and nothing more is sent away", async () => {
    await using witness = await Witness.start(test.url, "beside the magic");
    const client = await RawClient.dial(test);
    client.write(magicBytes);
    await client.isEnded();
    assertOneLine(client, "EVH_CONNECTION_TIMEOUT");
    await witness.sees(3);
  });

  it("a client that sends a byte now and then and never a frame is sent away", async () => {
    await using witness = await Witness.start(test.url, "beside single bytes");
    const client = await RawClient.dial(test);
    const bytes = [...magicBytes, ...frame(packets.ping.id, 0, new Uint8Array(500))].values();
    const timer = setInterval(() => client.write(Uint8Array.of(bytes.next().value ?? 0)), 50);
    try {
      await client.isEnded();
    } finally {
      clearInterval(timer);
    }
    assertOneLine(client, "EVH_CONNECTION_TIMEOUT");
    await witness.sees(3);
  });

  it("a client that opens a session and falls silent is sent away, with what it held", async () => {
    await using witness = await Witness.start(test.url, "beside a dead session");
    await using other = await connect(test.url);
    await other.createQueue("held");
    await other.producer("held").send("text");
    const client = await RawClient.open(test);
    await client.consume("held", -1);
    await client.expect(packets.receive);
    await client.isEnded();
    assertOneLine(client, "EVH_CONNECTION_TIMEOUT");
    const message = await other.consumer("held").receive({ timeout: 30_000 });
    assert.equal(message?.deliveryCount, 2);
    await message.ack();
    await witness.sees(3);
  });

  it("a client that closes its direction only is gone, and what it held comes back", async () => {
    await using witness = await Witness.start(test.url, "beside a half");
    await using other = await connect(test.url);
    await other.createQueue("half");
    await other.producer("half").send("text");
    const client = await RawClient.open(test);
    await client.consume("half", -1);
    await client.expect(packets.receive);
    client.socket.end();
    await client.isEnded();
    const message = await other.consumer("half").receive({ timeout: 30_000 });
    assert.equal(message?.text(), "text");
    await message.ack();
    await witness.sees(3);
  });

  it("a client that never reads gets no more than a bounded part of 50 MiB", async () => {
    await using witness = await Witness.start(test.url, "beside a deaf one");
    await using other = await connect(test.url);
    await other.createQueue("deaf");
    const producer = other.producer("deaf");
    const body = new Uint8Array(100_000);
    await producer.sendBatch(Array.from({ length: 525 }, () => ({ body })));
    const client = await RawClient.open(test);
    // Longer than the test may take, so that it is not sent away before it is looked at.
    client.send(packets.ping, 0, { connectionTtl: 60_000 });
    await client.expect(packets.ping);
    await client.consume("deaf", -1);
    client.socket.pause();
    const held = (): number => {
      return test.broker.queues().find(({ name }) => name === "deaf")?.inFlightCount ?? 0;
    };
    await until(() => held() > 0, "deliveries begin");
    // Whoever is served after it has waited for its turn: then no more is under way to it.
    let heldBefore = -1;
    while (heldBefore !== held()) {
      heldBefore = held();
      await witness.sees(50);
    }
    // Buffers of the system on both sides take some MiB; the broker itself keeps about one.
    assert.ok(held() < 200, `${held()} of 525 messages left the broker`);
    assert.deepEqual(client.logged(), []);
    await client.close();
    await until(() => held() === 0, "what it held comes back");
    await other.deleteQueue("deaf");
  });

  it("a client that never reads is sent away when its time is over", async () => {
    await using witness = await Witness.start(test.url, "beside another deaf one");
    await using other = await connect(test.url);
    await other.createQueue("deaf for ever");
    const body = new Uint8Array(100_000);
    await other.producer("deaf for ever").sendBatch(Array.from({ length: 200 }, () => ({ body })));
    const client = await RawClient.open(test);
    await client.consume("deaf for ever", -1);
    client.socket.pause();
    // It pings, so that only its not reading is held against it.
    const timer = setInterval(() => client.send(packets.ping, 0, { connectionTtl: 1_000 }), 200);
    try {
      await until(() => client.logged().length > 0, "the broker gives up");
    } finally {
      clearInterval(timer);
    }
    assertOneLine(client, "EVH_CONNECTION_TIMEOUT");
    await until(
      () => test.broker.queues().find(({ name }) => name === "deaf for ever")?.inFlightCount === 0,
      "what it held comes back",
    );
    await client.close();
    await other.deleteQueue("deaf for ever");
    await witness.sees(3);
  });

  it("a client that floods requests and reads no answer is read no more", async () => {
    await using witness = await Witness.start(test.url, "beside a flood");
    await using other = await connect(test.url);
    // An address whose description is larger than a request about it.
    for (let count = 0; count < 30; count += 1) {
      await other.createQueue(`flooded ${"queue ".repeat(10)}${count}`, { address: "flooded" });
    }
    const client = await RawClient.open(test);
    client.send(packets.ping, 0, { connectionTtl: 60_000 });
    await client.expect(packets.ping);
    client.socket.pause();
    // What follows the fields that a broker knows is ignored, and makes the request large enough to see
    // that the broker does not read it.
    const request = frame(packets.bindingQuery.id, 10, queryOf("flooded", 2_000));
    const requestCountMax = Math.ceil((64 * mebibyte) / request.length);
    let requestCount = 0;
    while (client.socket.writableLength < 2 * mebibyte && requestCount < requestCountMax) {
      client.write(request);
      requestCount += 1;
      if (requestCount % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(requestCount < requestCountMax, "the broker stops reading");
    await witness.sees(50);
    assert.deepEqual(client.logged(), []);
    // As soon as it reads, it is served on, and every request is answered.
    client.socket.resume();
    const isAnswer = ({ id }: { readonly id: number }): boolean =>
      id === packets.bindingQueryResponseV5.id;
    await until(
      () => client.frames.filter(isAnswer).length === requestCount,
      () => `${client.frames.filter(isAnswer).length} of ${requestCount} requests are answered`,
    );
    await client.close();
    await witness.sees(3);
  });

  it("a client that floods messages and reads no answer disturbs nobody", async () => {
    await using witness = await Witness.start(test.url, "beside messages");
    const client = await RawClient.open(test);
    client.send(packets.ping, 0, { connectionTtl: 60_000 });
    await client.expect(packets.ping);
    client.socket.pause();
    const message = messageTo("flood", { body: new Uint8Array(10_000) });
    for (let count = 1; count <= 3_000; count += 1) {
      const value = { message, requiresResponse: true, correlationId: count, senderId: 0 };
      client.send(packets.send, 10, value);
    }
    await witness.sees(50);
    client.socket.resume();
    const isAnswer = ({ id }: { readonly id: number }): boolean => id === packets.nullResponse.id;
    await until(() => client.frames.filter(isAnswer).length === 3_000, "every send is answered");
    await client.close();
    await witness.sees(3);
  });
});

function assertOneLine(client: RawClient, code: string): void {
  const lines = client.logged();
  assert.deepEqual(
    lines.map(({ level, fields }) => [level, fields["code"]]),
    [["warn", code]],
  );
}

/** The body of a query about an address of this name, and bytes that nobody knows behind it. */
function queryOf(name: string, unknownBytes: number): Uint8Array {
  const bytes = new Uint8Array(4 + name.length * 2 + unknownBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, name.length * 2);
  for (let index = 0; index < name.length; index += 1) {
    view.setUint16(4 + index * 2, name.charCodeAt(index), true);
  }
  return bytes;
}
