import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { magicBytes } from "@everhold/wire";

import { RawClient } from "./raw-client.test-support.ts";
import { TestBroker } from "./test-broker.test-support.ts";
import { Witness } from "./witness.test-support.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** What clients of other protocols send first, and the name that the operator should read. */
const openings: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ["HTTP", text("GET / HTTP/1.1\r\nHost: localhost:61616\r\nAccept: */*\r\n\r\n")],
  ["HTTP", text("POST /api HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")],
  ["HTTP/2", text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
  ["TLS", Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03)],
  ["AMQP", Uint8Array.of(0x41, 0x4d, 0x51, 0x50, 0x00, 0x01, 0x00, 0x00)],
  ["AMQP", Uint8Array.of(0x41, 0x4d, 0x51, 0x50, 0x03, 0x01, 0x00, 0x00)],
  ["STOMP", text("CONNECT\naccept-version:1.2\nhost:localhost\n\n\0")],
  ["STOMP", text("STOMP\r\naccept-version:1.2\r\n\r\n\0")],
  ["MQTT", Uint8Array.of(0x10, 0x10, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 4, 97, 98, 99)],
  ["OpenWire", Uint8Array.of(0, 0, 1, 0x2a, 1, ...text("ActiveMQ"), 0, 0, 0, 12)],
  ["SSH", text("SSH-2.0-OpenSSH_9.6\r\n")],
];

describe("other protocols", () => {
  let test: TestBroker;

  before(async () => {
    test = await TestBroker.start();
  });

  after(() => test[Symbol.asyncDispose]());

  for (const [name, bytes] of openings) {
    const opening = JSON.stringify(String.fromCharCode(...bytes.subarray(0, 8)));
    it(`a client of ${name} (${opening}) is sent away with one line that names it`, async () => {
      await using witness = await Witness.start(test.url);
      const client = await RawClient.dial(test);
      client.write(bytes);
      await client.isEnded();
      await witness.sees(3);
      const lines = client.logged();
      assert.equal(lines.length, 1, JSON.stringify(lines));
      assert.equal(lines[0]?.fields["code"], "EVH_PROTOCOL");
      assert.ok(String(lines[0]?.fields["reason"]).includes(`found ${name} (`));
      assert.deepEqual(client.frames, []);
    });
  }

  it("a client whose magic is wrong in its last letter is sent away with one line", async () => {
    await using witness = await Witness.start(test.url);
    const client = await RawClient.dial(test);
    client.write(magicBytes.subarray(0, 6));
    client.write(text("X"));
    await client.isEnded();
    assert.equal(client.logged().length, 1);
    await witness.sees(3);
  });

  it("what follows a protocol that was refused is not read", async () => {
    await using witness = await Witness.start(test.url);
    const client = await RawClient.dial(test);
    client.write(text("GET / HTTP/1.1\r\n\r\n"));
    for (let count = 0; count < 50; count += 1) client.write(magicBytes);
    await client.isEnded();
    assert.equal(client.logged().length, 1);
    await witness.sees(3);
  });
});
