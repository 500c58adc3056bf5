import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { startBroker, type RunningBroker, type StartOptions } from "./start-broker.ts";

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

describe("an embedded broker", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "everhold-start-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  function start(config: object = {}, options: StartOptions = {}): Promise<RunningBroker> {
    const acceptors = { core: { url: "tcp://127.0.0.1:0" } };
    return startBroker(
      { acceptors, journal: { sync: "none", fileSize: "1MiB" }, ...config },
      { environment: {}, folder, log: silent, ...options },
    );
  }

  test("listens on the port that the system chose and keeps its data in its folder", async () => {
    await using broker = await start({ data: "a" });
    const [url = ""] = broker.urls;
    assert.match(url, /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/);
    assert.equal(broker.dataFolder, join(folder, "a"));
    assert.equal(broker.loopbackOnly, true);
    assert.equal(broker.loginRequired, false);
    const socket = connectSocket(Number(new URL(url).port), "127.0.0.1");
    await once(socket, "connect");
    socket.destroy();
    assert.ok(readdirSync(broker.dataFolder).some((name) => name.endsWith(".journal")));
  });

  test("stops as often as it is asked to, and its folder can be used again", async () => {
    const first = await start({ data: "b" });
    await Promise.all([first.stop(), first.stop()]);
    await first[Symbol.asyncDispose]();
    const second = await start({ data: "b" });
    await second.stop();
  });

  test("a second broker on the same folder is refused", async () => {
    await using first = await start({ data: "c" });
    await assert.rejects(start({ data: first.dataFolder }), { code: "EVH_DATA_LOCKED" });
  });

  test("connections beyond those allowed are closed, and one without a session gives way first", async () => {
    const lines: string[] = [];
    const log = { ...silent, warn: (message: string) => void lines.push(message) };
    const limits = { connectionsAllowed: 3, handshakesAllowed: 2 };
    await using broker = await start({ data: "allowed", limits }, { log });
    const port = Number(new URL(broker.urls[0] ?? "").port);
    const first = connectSocket(port, "127.0.0.1");
    await once(first, "connect");
    const second = connectSocket(port, "127.0.0.1");
    await once(second, "connect");
    const third = connectSocket(port, "127.0.0.1");
    await once(first, "close");
    second.destroy();
    third.destroy();
    assert.deepEqual(lines, ["A connection without a session gave way: there are too many"]);
    await assert.rejects(start({ limits: { handshakesAllowed: 0 } }), { code: "EVH_CONFIG" });
  });

  test("a busy port is refused and leaves the folder free", async () => {
    await using broker = await start({ data: "d" });
    const port = Number(new URL(broker.urls[0] ?? "").port);
    await assert.rejects(start({ data: "e" }, { listen: { port } }), { code: "EVH_PORT_IN_USE" });
    await (await start({ data: "e" })).stop();
  });

  test("a folder that cannot be made is refused", async () => {
    writeFileSync(join(folder, "file"), "");
    await assert.rejects(start({ data: "file/below" }), { code: "EVH_DATA_FOLDER" });
  });

  test("with users it may listen where others can reach it", async () => {
    await using broker = await start({
      data: "f",
      acceptors: { core: { url: "tcp://0.0.0.0:0" } },
      security: { users: { ann: { password: "secret" } } },
    });
    assert.equal(broker.loopbackOnly, false);
    assert.equal(broker.loginRequired, true);
  });

  test("a configuration that is wrong starts nothing", async () => {
    await assert.rejects(start({ addressSettings: { "#": { maxDeliveryAttempts: 1_000 } } }), {
      code: "EVH_CONFIG",
      message: /^the configuration given: addressSettings\.#\.maxDeliveryAttempts: found 1000/,
    });
    await assert.rejects(start({ limits: { messageSize: "64MiB" } }), { code: "EVH_CONFIG" });
  });
});
