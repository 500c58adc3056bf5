import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as dial } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect, EverholdError, startBroker, type RunningBroker } from "everhold";

import { freePort } from "../free-port.ts";
import { LogRecorder } from "../robustness/log-recorder.test-support.ts";
import { until } from "../robustness/until.test-support.ts";
import { makeCertificate } from "../tls/certificates.test-support.ts";

let folder = "";
let brokerCount = 0;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "everhold-web-socket-"));
});
after(() => rmSync(folder, { recursive: true }));

function startWith(config: object = {}, log = new LogRecorder()): Promise<RunningBroker> {
  brokerCount += 1;
  const defaults = {
    data: `data-${brokerCount}`,
    journal: { sync: "none", fileSize: "1MiB" },
    acceptors: { core: { url: "tcp://127.0.0.1:0" } },
  };
  return startBroker({ ...defaults, ...config }, { folder, environment: {}, log });
}

function portOf(broker: RunningBroker): number {
  return Number(new URL(broker.urls[0] ?? "").port);
}

/** What is left of a bare connection that wrote `text` and waits. */
async function lastWordsFor(broker: RunningBroker, text: string): Promise<string> {
  const socket = dial({ host: "127.0.0.1", port: portOf(broker) });
  socket.on("error", () => undefined);
  let words = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => (words += chunk));
  socket.write(text);
  await new Promise((resolve) => socket.once("close", resolve));
  return words;
}

const upgrade = [
  "GET /mq HTTP/1.1",
  "Host: localhost",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
  "",
  "",
].join("\r\n");

describe("a broker that takes WebSockets", () => {
  it("serves clients through them and without them on the same port", async () => {
    await using broker = await startWith();
    const log = new LogRecorder();
    const web = await connect(`ws://127.0.0.1:${portOf(broker)}/mq`, { log });
    const plain = await connect(`tcp://127.0.0.1:${portOf(broker)}`, { log });
    const body = "x".repeat(500_000);
    await web.transaction(async (transaction) => {
      await transaction.send("orders", body);
      await transaction.send("orders", "small");
    });
    const consumer = plain.consumer("orders");
    assert.equal((await consumer.receive())?.text(), body);
    await plain.producer("answers").send(body);
    const answer = await web.consumer("answers").receive();
    assert.equal(answer?.text(), body);
    await answer?.ack();
    await web.close();
    await plain.close();
    assert.deepEqual(log.lines, []);
  });

  it("serves them within TLS", async () => {
    const { cert, key } = makeCertificate({ name: "broker", hosts: ["localhost"] });
    const url = "tls://127.0.0.1:0";
    await using broker = await startWith({ acceptors: { core: { url, tls: { cert, key } } } });
    const secure = `wss://localhost:${portOf(broker)}`;
    const connection = await connect(secure, { tls: { ca: cert }, log: new LogRecorder() });
    await connection.producer("orders").send("one");
    assert.equal((await connection.consumer("orders").receive())?.text(), "one");
    await connection.close();
    await assert.rejects(
      connect(secure, { log: new LogRecorder() }),
      (error) => EverholdError.is(error) && error.code.startsWith("EVH_CERTIFICATE_"),
    );
  });

  it("lets nobody linger on the way in: neither in the head nor behind the handshake", async () => {
    // Long enough for a machine that stands still to read what has come before it is late.
    await using broker = await startWith({ limits: { handshakeTimeout: 10_000 } });
    const [inTheHead, behind] = await Promise.all([
      lastWordsFor(broker, "GET /mq HTTP/1.1\r\nHost: a\r\n"),
      lastWordsFor(broker, upgrade),
    ]);
    assert.equal(inTheHead, "");
    assert.match(behind, /^HTTP\/1\.1 101 /);
  });

  it("says by HTTP what it is, and in its log who asked", async () => {
    const log = new LogRecorder();
    await using broker = await startWith({}, log);
    const answer = await lastWordsFor(broker, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.match(answer, /^HTTP\/1\.1 426 Upgrade Required\r\n[\s\S]*speaks CORE/);
    const lines = log.lines.filter(({ level }) => level === "warn");
    assert.equal(lines.length, 1);
    assert.match(String(lines[0]?.fields["peer"]), /^127\.0\.0\.1:\d+$/);
  });

  it("takes none where it is told so", async () => {
    const log = new LogRecorder();
    const acceptor = { url: "tcp://127.0.0.1:0", webSocket: { enabled: false } };
    await using broker = await startWith({ acceptors: { core: acceptor } }, log);
    assert.equal(await lastWordsFor(broker, upgrade), "");
    await until(
      () => log.lines.some(({ fields }) => String(fields["reason"]).includes("found HTTP (")),
      "the log names HTTP",
    );
  });

  it("lets clients go in order when it stops, and they come back when it is there again", async () => {
    const data = "data-again";
    // Not one that the system gives to others meanwhile.
    const acceptors = { core: { url: `tcp://127.0.0.1:${await freePort()}` } };
    const first = await startWith({ data, acceptors });
    const url = `ws://127.0.0.1:${portOf(first)}`;
    const connection = await connect(url, { log: new LogRecorder() });
    await connection.producer("orders").send("one");
    const lost = new Promise((resolve) => {
      connection.on("disconnect", resolve);
    });
    await first.stop();
    await lost;
    const second = await startWith({ data, acceptors });
    assert.equal((await connection.consumer("orders").receive())?.text(), "one");
    await connection.close();
    await second.stop();
  });
});
