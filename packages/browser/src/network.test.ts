import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { ConnectAttempt, Endpoint, Link, LinkHandler } from "@everhold/env";
import { connect } from "./connect.ts";
import { limits } from "./limits.ts";
import { BrowserNetwork } from "./network.ts";
import { BrowserTimers } from "./timers.ts";
import { FakeWebSocket } from "./web-socket.test-support.ts";

const endpoint: Endpoint = { host: "broker", port: 61_616, webSocket: {} };

class Recorder implements LinkHandler {
  readonly events: string[] = [];

  onData(bytes: Uint8Array): void {
    this.events.push(`data ${bytes.join(" ")}`);
  }

  onSent(bytes: Uint8Array): void {
    this.events.push(`sent ${bytes.length}`);
  }

  onDrained(): void {
    this.events.push("drained");
  }

  onClosed(error: Error | undefined): void {
    this.events.push(`closed ${error?.message ?? "in order"}`);
  }
}

describe("a page's connection", () => {
  const realWebSocket = globalThis.WebSocket;
  let timers = new BrowserTimers();
  let network = new BrowserNetwork(timers);
  let recorder = new Recorder();
  let link: Link | undefined;
  let failures: string[] = [];

  beforeEach(() => {
    Object.assign(globalThis, { WebSocket: FakeWebSocket });
    FakeWebSocket.made.length = 0;
    FakeWebSocket.refusal = undefined;
    timers = new BrowserTimers();
    network = new BrowserNetwork(timers);
    recorder = new Recorder();
    link = undefined;
    failures = [];
  });

  afterEach(() => {
    Object.assign(globalThis, { WebSocket: realWebSocket });
  });

  function attempt(to = endpoint): ConnectAttempt {
    return network.connect(to, {
      onConnected: (connected) => {
        link = connected;
        return recorder;
      },
      onFailed: (error) => failures.push(error.message),
    });
  }

  function opened(): { link: Link; socket: FakeWebSocket } {
    attempt();
    const socket = FakeWebSocket.made[0];
    socket?.opens();
    assert.ok(socket && link);
    return { link, socket };
  }

  /** Comes after all that was asked for at once and for the end of a turn: each of them keeps its order. */
  async function turnEnd(): Promise<void> {
    await new Promise<void>((resolve) => {
      timers.after(0, () => timers.atTurnEnd(resolve));
    });
  }

  it("carries bytes both ways, large ones in several messages", async () => {
    const { link: to, socket } = opened();
    assert.equal(socket.url, "ws://broker:61616");
    assert.equal(socket.binaryType, "arraybuffer");
    socket.brings(Uint8Array.of(1, 2).buffer);
    to.send(new Uint8Array(2 * limits.messageBytesMax + 1).fill(7));
    assert.deepEqual(
      socket.sent.map(({ length }) => length),
      [limits.messageBytesMax, limits.messageBytesMax, 1],
    );
    assert.deepEqual(recorder.events, ["data 1 2"], "never before send has returned");
    await turnEnd();
    assert.deepEqual(recorder.events, ["data 1 2", `sent ${2 * limits.messageBytesMax + 1}`]);
  });

  it("keeps what comes while it is paused, in order", async () => {
    const { link: to, socket } = opened();
    to.pause();
    socket.brings(Uint8Array.of(1).buffer);
    to.resume();
    socket.brings(Uint8Array.of(2).buffer);
    assert.deepEqual(recorder.events, []);
    await turnEnd();
    socket.brings(Uint8Array.of(3).buffer);
    assert.deepEqual(recorder.events, ["data 1", "data 2", "data 3"]);
  });

  it("tells when the browser has sent what was queued", async () => {
    const { link: to, socket } = opened();
    socket.bufferedAmount = 10;
    to.send(Uint8Array.of(1));
    assert.equal(to.queuedBytes, 10);
    await turnEnd();
    assert.deepEqual(recorder.events, ["sent 1"]);
    socket.bufferedAmount = 0;
    while (!recorder.events.includes("drained")) await turnEnd();
  });

  const ends: readonly (readonly [code: number, reason: string, told: string])[] = [
    [1000, "", "closed in order"],
    [1001, "going away", "closed in order"],
    [1005, "", "closed in order"],
    [1006, "", "closed the connection to broker:61616 broke: code 1006"],
    [1009, "too big", "closed the connection to broker:61616 broke: code 1009, too big"],
  ];
  for (const [code, reason, told] of ends) {
    it(`tells of its end (${code})`, async () => {
      const { link: to, socket } = opened();
      socket.ends(code, reason);
      assert.deepEqual(recorder.events, [told]);
      socket.ends(code, reason);
      socket.brings(Uint8Array.of(1).buffer);
      to.end();
      to.destroy();
      to.send(Uint8Array.of(1));
      await turnEnd();
      assert.deepEqual(recorder.events, [told, "sent 1"]);
      assert.equal(to.queuedBytes, 0);
    });
  }

  it("ends where text comes", () => {
    const { socket } = opened();
    socket.brings("hello");
    assert.match(recorder.events.join(), /^closed .*found a text message/);
    assert.equal(socket.closedWith.length, 1);
  });

  it("ends in order, or at once", async () => {
    const { link: to, socket } = opened();
    to.end();
    assert.deepEqual(socket.closedWith, [1000]);
    socket.brings(Uint8Array.of(9).buffer);
    to.destroy();
    assert.deepEqual(recorder.events, ["data 9"]);
    await turnEnd();
    assert.deepEqual(recorder.events, ["data 9", "closed in order"]);
  });

  it("fails to be made with all that a page may know, once", async () => {
    attempt({ ...endpoint, tls: {}, webSocket: { path: "/mq" } });
    const socket = FakeWebSocket.made[0];
    assert.equal(socket?.url, "wss://broker:61616/mq");
    socket?.ends(1006);
    socket?.opens();
    assert.equal(failures.length, 1);
    assert.match(failures[0] ?? "", /^cannot connect to wss:\/\/broker:61616\/mq: nothing listens/);
    FakeWebSocket.refusal = new Error("An insecure connection may not be initiated");
    attempt();
    assert.equal(failures.length, 1, "never before connect has returned");
    await turnEnd();
    assert.match(failures[1] ?? "", /An insecure connection/);
  });

  it("an attempt that is cancelled calls nobody", () => {
    const cancelled = attempt();
    cancelled.cancel();
    cancelled.cancel();
    FakeWebSocket.made[0]?.opens();
    FakeWebSocket.made[0]?.ends(1006);
    assert.deepEqual([failures, link], [[], undefined]);
    assert.equal(FakeWebSocket.made[0]?.closedWith.length, 1);
  });

  it("leads to ws:// and wss:// only", async () => {
    for (const url of ["tcp://a:1", "a", "tls://a", ["ws://a", "tcp://b"]]) {
      await assert.rejects(connect(url), { code: "EVH_URL" });
    }
    assert.equal(FakeWebSocket.made.length, 0);
  });
});
