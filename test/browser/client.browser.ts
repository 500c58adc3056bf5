import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type * as Everhold from "@everhold/browser";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { makeCertificate } from "#certificates";
import { BrokerProcess } from "./support/broker-process.ts";
import { bundleClient, type Bundle } from "./support/bundle.ts";
import { launchChromium, suspendPages } from "./support/chromium.ts";
import { PageServer } from "./support/page-server.ts";

declare global {
  interface Window {
    readonly everhold: typeof Everhold;
    connection: Everhold.Connection;
    session: Everhold.Session;
    reconnected: Promise<void>;
    /** What a test's page keeps between two looks at it. */
    seen: string[];
    failures: string[];
    sentCount: number;
    hasSentEnough: boolean;
    sending: Promise<void>;
  }
}

/** What a bundle may grow to before somebody looks at it. */
const gzipBytesMax = 80 * 1024;

describe("a page in Chromium", { timeout: 1_000_000 }, () => {
  let bundle: Bundle;
  let pages: PageServer;
  let chromium: Browser;
  let folder: string;
  let broker: BrokerProcess;
  let context: BrowserContext;

  before(async () => {
    bundle = await bundleClient();
    pages = await PageServer.start(bundle.code);
    chromium = await launchChromium();
  });

  after(async () => {
    await chromium.close();
    pages.close();
  });

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "everhold-browser-"));
    broker = new BrokerProcess(folder);
    await broker.start();
    context = await chromium.newContext({ ignoreHTTPSErrors: true });
    // What hangs is ended by the limit of the whole; a slow machine is not told apart from it before.
    context.setDefaultTimeout(120_000);
  });

  afterEach(async () => {
    await context.close();
    await broker.end();
    rmSync(folder, { recursive: true });
  });

  async function open(host = "127.0.0.1"): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`http://${host}:${pages.port}/`);
    await page.waitForFunction(() => window.everhold !== undefined);
    return page;
  }

  /** A page with a connection, of which the broker notices within `ttl` ms that nothing of it runs. */
  async function connected(ttl = 60_000): Promise<Page> {
    const page = await open();
    await page.evaluate(
      async ({ url, heartbeat }) => {
        window.connection = await window.everhold.connect(url, { heartbeat });
      },
      { url: broker.url, heartbeat: { period: 250, ttl } },
    );
    return page;
  }

  it("carries the whole client in a bundle of modest size", () => {
    const { bytes, gzipBytes } = bundle;
    const figure = JSON.stringify({ figure: "bundle", bytes, gzipBytes });
    writeFileSync(new URL("figures.jsonl", import.meta.url), `${figure}\n`);
    assert.ok(gzipBytes <= gzipBytesMax, `${gzipBytes} bytes`);
  });

  it("sends and consumes, small and large", async () => {
    const page = await connected();
    const result = await page.evaluate(async () => {
      const { connection } = window;
      const producer = connection.producer("orders");
      await producer.send({ json: { apples: 2 } }, { properties: { kind: "fruit" } });
      const large = new Uint8Array(3_000_000).map((_, index) => index & 255);
      await producer.send(large);
      const consumer = connection.consumer("orders");
      const first = await consumer.receive();
      const second = await consumer.receive();
      await first?.ack();
      await second?.ack();
      const bytes = second?.body;
      const isEqual =
        bytes?.length === large.length && bytes.every((byte, at) => byte === large[at]);
      const kind = first?.properties["kind"];
      const json = first?.json();
      await connection.close();
      return { json, kind, isEqual };
    });
    assert.deepEqual(result, { json: { apples: 2 }, kind: "fruit", isEqual: true });
  });

  it("commits and rolls back transactions", async () => {
    const page = await connected();
    const texts = await page.evaluate(async () => {
      const { connection } = window;
      await connection.transaction(async (transaction) => {
        await transaction.producer("orders").send("one");
        await transaction.producer("orders").send("two");
      });
      await connection
        .transaction(async (transaction) => {
          await transaction.producer("orders").send("never");
          throw new Error("changed my mind");
        })
        .catch(() => undefined);
      await connection.producer("orders").send("three");
      const consumer = connection.consumer("orders");
      const found: (string | undefined)[] = [];
      while (found.length < 3) {
        const message = await consumer.receive();
        found.push(message?.text());
        await message?.ack();
      }
      return found;
    });
    assert.deepEqual(texts, ["one", "two", "three"]);
  });

  it("goes on when the broker is killed and started again: nothing is lost, nothing twice", async () => {
    const page = await connected();
    await page.evaluate(async () => {
      window.seen = [];
      window.failures = [];
      window.sentCount = 0;
      window.hasSentEnough = false;
      const { connection } = window;
      const consumer = connection.consumer("orders");
      // Each in its order; what comes again has been seen.
      const fail = (error: unknown): void => void window.failures.push(String(error));
      const handling = consumer.run(async (message) => {
        const text = message.text();
        if (!message.redelivered || !window.seen.includes(text)) window.seen.push(text);
        await message.ack();
      });
      handling.catch(fail);
      const producer = connection.producer("orders");
      const sendNext = async (): Promise<void> => {
        await producer.send(String(window.sentCount)).catch(fail);
        window.sentCount += 1;
      };
      await sendNext();
      // They go on while the broker is away, and until it has been killed often enough.
      const sendMany = async (): Promise<void> => {
        while (!window.hasSentEnough || window.sentCount < 200) await sendNext();
      };
      window.sending = sendMany();
    });
    for (let kills = 0; kills < 3; kills += 1) {
      const count = await page.evaluate(() => window.seen.length);
      await broker.kill();
      await broker.start();
      await page.waitForFunction((seen) => window.seen.length > seen, count);
    }
    const sentCount = await page.evaluate(async () => {
      window.hasSentEnough = true;
      await window.sending;
      return window.sentCount;
    });
    await page.waitForFunction((count) => window.seen.length >= count, sentCount);
    const { seen, failures } = await page.evaluate(() => ({
      seen: window.seen,
      failures: window.failures,
    }));
    assert.deepEqual(failures, []);
    assert.deepEqual(
      seen,
      Array.from({ length: sentCount }, (_, number) => String(number)),
    );
  });

  it("goes on when its tab was suspended for longer than the broker waits", async () => {
    // Short for who waits for it, and long for a machine that stands still now and then.
    const page = await connected(15_000);
    await page.evaluate(async () => {
      window.seen = [];
      window.failures = [];
      const { connection } = window;
      await connection.producer("orders").send("before");
      const consumer = connection.consumer("orders");
      const handling = consumer.run(async (message) => {
        await message.ack();
        window.seen.push(message.text());
      });
      handling.catch((error: unknown) => window.failures.push(String(error)));
      window.session = await connection.session({ transacted: true });
      await window.session.send("paid", "in a transaction that the tab slept through");
      window.reconnected = new Promise((resolve) => {
        connection.on("reconnect", () => resolve());
      });
    });
    await page.waitForFunction(() => window.seen.length === 1);

    // What a sleeping machine or a frozen tab does to a page: nothing of it runs, its connection stays open.
    const suspended = await suspendPages(chromium);
    await broker.logs(/did not send a byte within 15000 ms/);
    suspended.goOn();

    const outcome = await page.evaluate(async () => {
      const { session, connection } = window;
      await window.reconnected;
      const code = await session.commit().then(
        () => "committed",
        (error: unknown) => (error instanceof window.everhold.EverholdError ? error.code : error),
      );
      await connection.producer("orders").send("after");
      await session.send("paid", "once more");
      await session.commit();
      return code;
    });
    assert.equal(outcome, "EVH_TRANSACTION_ROLLED_BACK");
    await page.waitForFunction(() => window.seen.length === 2);
    const { seen, paid } = await page.evaluate(async () => {
      const message = await window.connection.consumer("paid").receive();
      await message?.ack();
      return { seen: window.seen, paid: message?.text() };
    });
    assert.deepEqual(seen, ["before", "after"]);
    assert.equal(paid, "once more");
  });

  it("keeps its connection while it is hidden, where the browser holds its timers back", async () => {
    const page = await open();
    await page.evaluate(async (url) => {
      // As a browser does to a page that has been hidden for long, and worse: these timers never fire.
      const realSetTimeout = window.setTimeout;
      const held = (task: () => void, delayMs: number): number =>
        delayMs >= 100 ? 0 : realSetTimeout(task, delayMs);
      Object.assign(window, { setTimeout: held });
      Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
      // What counts below is that signs of life are sent; the broker waits for them for long.
      const heartbeat = { period: 500, ttl: 60_000 };
      window.failures = [];
      window.seen = [];
      window.connection = await window.everhold.connect(url, { heartbeat });
      window.connection.on("disconnect", ({ error }) => window.failures.push(error.message));
      const send = Reflect.get(WebSocket.prototype, "send");
      WebSocket.prototype.send = function sendAndCount(data) {
        window.seen.push("sign of life");
        Reflect.apply(send, this, [data]);
      };
    }, broker.url);
    await page.waitForFunction(() => window.seen.length >= 4);
    const failures = await page.evaluate(async () => {
      await window.connection.producer("orders").send("still here");
      await window.connection.close();
      return window.failures;
    });
    assert.deepEqual(failures, []);
  });

  it("comes in by wss to an acceptor with TLS", async () => {
    const { cert, key } = makeCertificate({ name: "localhost", hosts: ["localhost"] });
    const config = join(folder, "everhold.json");
    const acceptors = { secure: { url: "tls://127.0.0.1:0", tls: { cert, key } } };
    writeFileSync(config, JSON.stringify({ acceptors }));
    const secure = new BrokerProcess(join(folder, "secure"), ["--config", config]);
    await secure.start();
    try {
      const page = await open();
      const text = await page.evaluate(async (url) => {
        const connection = await window.everhold.connect(url);
        await connection.producer("orders").send("nobody reads along");
        const message = await connection.consumer("orders").receive();
        await message?.ack();
        await connection.close();
        return message?.text();
      }, `wss://localhost:${secure.port}/any/path`);
      assert.equal(text, "nobody reads along");
    } finally {
      await secure.end();
    }
  });

  it("is told that its origin may not come in, as far as a page may know, and the log says why", async () => {
    const page = await open("shop.example");
    const message = await page.evaluate(
      (url) => window.everhold.connect(url).then(String, String),
      broker.url,
    );
    assert.match(message, /Cannot connect to ws:.*refuses pages of this origin/);
    await broker.logs(/"status":403|status=403/);
    assert.match(broker.log, /shop\.example/);
    assert.match(broker.log, /webSocket\.origins/);
  });

  it("is told that a page opens WebSockets only", async () => {
    const page = await open();
    const messages = await page.evaluate(async () => {
      const { connect } = window.everhold;
      return Promise.all([
        connect("tcp://localhost:61616").then(String, String),
        connect("ws://localhost:1").then(String, String),
        connect("ws://localhost:22").then(String, String),
      ]);
    });
    assert.match(messages[0], /EverholdError: Cannot connect to tcp:.*expected ws:\/\/ or wss:/);
    assert.match(messages[1], /ConnectionError: Cannot connect to ws:\/\/localhost:1: /);
    assert.match(messages[2], /ConnectionError: Cannot connect to ws:\/\/localhost:22: /);
  });
});
