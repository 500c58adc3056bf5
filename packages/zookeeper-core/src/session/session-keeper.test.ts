import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { assertError, assertNothingRuns, rejection, TestWorld } from "@everhold/test-world";
import type { ZooKeeper } from "../api/zookeeper.ts";
import { connect } from "../connect.ts";
import type { ZooKeeperOptions } from "../options.ts";
import { zooKeeperErrors } from "../protocol/error-codes.ts";
import { operations } from "../protocol/operations.ts";
import { TestEnsemble } from "../testing/test-ensemble.test-support.ts";
import type { SessionStore, StoredSession } from "./session-store.ts";

/** A store in memory, and what was done with it. */
class TestStore implements SessionStore {
  stored: StoredSession | undefined;
  readonly calls: string[] = [];
  /** What the next save waits for, or fails with. */
  saving: () => Promise<void> = () => Promise.resolve();

  load(): Promise<StoredSession | undefined> {
    this.calls.push("load");
    return Promise.resolve(this.stored);
  }

  async save(session: StoredSession | undefined): Promise<void> {
    this.calls.push(session === undefined ? "forget" : "save");
    await this.saving();
    this.stored = session;
  }

  close(): Promise<void> {
    this.calls.push("close");
    return Promise.resolve();
  }
}

interface Setup {
  readonly world: TestWorld;
  readonly ensemble: TestEnsemble;
  readonly store: TestStore;
  readonly connected: (options?: ZooKeeperOptions) => Promise<ZooKeeper>;
}

function setUp(): Setup {
  const world = new TestWorld();
  const ensemble = new TestEnsemble(world, ["a", "b", "c"]);
  const store = new TestStore();
  const connected = (options: ZooKeeperOptions = {}): Promise<ZooKeeper> =>
    world.now(
      connect(world.ports, "a,b,c", { sessionTimeout: 6000, sessionStore: store, ...options }),
    );
  return { world, ensemble, store, connected };
}

describe("a session that is kept beyond its process", () => {
  it("is stored before anything is done in it, and forgotten when it has ended", async () => {
    const { world, ensemble, store, connected } = setUp();
    let requestsAtSave: number | undefined;
    store.saving = async () => {
      requestsAtSave ??= ensemble.received.length;
      await Promise.resolve();
    };
    const client = await connected({ auth: { scheme: "digest", auth: "u:p" } });
    assert.equal(requestsAtSave, 0);
    const { sessionId: id } = client;
    const password = ensemble.sessions.get(id)?.password;
    assert.deepEqual(store.stored, { sessionId: id, password, sessionTimeout: 6000 });
    await world.now(client.close());
    assert.deepEqual(store.calls, ["load", "save", "forget", "close"]);
    assert.equal(await store.load(), undefined);
    assertNothingRuns(world);
  });

  it("is forgotten, too, where the server says while it is closed that it is over", async () => {
    const { world, ensemble, store, connected } = setUp();
    const client = await connected({ retry: false });
    const { SESSIONEXPIRED } = zooKeeperErrors;
    ensemble.rule = ({ code }) =>
      code === operations.closeSession.code ? "drop" : SESSIONEXPIRED.number;
    const before = rejection(world, client.delete("/a"));
    await world.now(client.close());
    assertError(await before, "EVH_SESSION_EXPIRED");
    assert.deepEqual(store.calls, ["load", "save", "forget", "close"]);
    assertNothingRuns(world);
  });

  it("ends before the next process has one of its own", async () => {
    const { world, ensemble, store, connected } = setUp();
    const left = { sessionId: 0x99n, password: new Uint8Array(16).fill(9), sessionTimeout: 6000 };
    const { sessionId: id, password, sessionTimeout: timeoutMs } = left;
    ensemble.sessions.set(id, { id, password, timeoutMs });
    store.stored = left;
    const client = await connected();
    assert.deepEqual(
      ensemble.hellos.map(({ sessionId }) => sessionId),
      [id, 0n],
    );
    assert.deepEqual(
      ensemble.received.map(({ code, sessionId }) => [code, sessionId]),
      [[operations.closeSession.code, id]],
    );
    assert.deepEqual([...ensemble.sessions.keys()], [client.sessionId]);
    assert.equal(store.stored.sessionId, client.sessionId);
    await world.now(client.close());
  });

  it("ends on servers that are slow, too", async () => {
    const { world, ensemble, store } = setUp();
    const [id, password] = [0x99n, new Uint8Array(16).fill(9)];
    ensemble.sessions.set(id, { id, password, timeoutMs: 6000 });
    store.stored = { sessionId: id, password, sessionTimeout: 6000 };
    ensemble.rule = ({ code, server, xid }) => {
      if (code !== operations.closeSession.code) return "usual";
      const [connection] = ensemble.server(server).connections;
      world.ports.timers.after(1500, () => {
        ensemble.sessions.delete(id);
        connection?.reply(xid);
      });
      return "drop";
    };
    const connecting = connect(world.ports, "a", { sessionTimeout: 6000, sessionStore: store });
    await world.advance(1500);
    const client = await world.now(connecting);
    assert.deepEqual([...ensemble.sessions.keys()], [client.sessionId]);
    ensemble.rule = () => "usual";
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("is left to expire when each of the servers has refused to end it", async () => {
    const { world, ensemble, store } = setUp();
    const [id, password] = [0x99n, new Uint8Array(16).fill(9)];
    ensemble.sessions.set(id, { id, password, timeoutMs: 6000 });
    store.stored = { sessionId: id, password, sessionTimeout: 6000 };
    ensemble.rule = ({ sessionId }) => (sessionId === id ? "close" : "usual");
    const connecting = connect(world.ports, "a,b,c", { sessionStore: store });
    await world.advance(2000);
    const client = await world.now(connecting);
    assert.deepEqual(
      ensemble.hellos.map(({ sessionId }) => sessionId),
      [id, id, id, 0n],
    );
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("that is over already, or unknown to the servers, keeps nobody from the next one", async () => {
    const { world, ensemble, store, connected } = setUp();
    store.stored = { sessionId: 7n, password: new Uint8Array(16), sessionTimeout: 6000 };
    const client = await connected();
    assert.deepEqual([...ensemble.sessions.keys()], [client.sessionId]);
    await world.now(client.close());
  });

  it("is another one when it was lost, and stays stored where no server ended it", async () => {
    const { world, ensemble, store, connected } = setUp();
    const client = await connected();
    const first = store.stored?.sessionId;
    ensemble.sessions.clear();
    ensemble.connected.kill();
    await world.advance(2000);
    assert.equal(client.epoch, 2);
    assert.notEqual(store.stored?.sessionId, first);
    assert.equal(store.stored?.sessionId, client.sessionId);
    for (const server of ensemble.servers) server.kill();
    await world.settle();
    const closing = client.close({ timeout: 50 });
    await world.advance(50);
    await world.now(closing);
    assert.ok(store.stored !== undefined);
    assert.equal(store.calls.at(-1), "close");
    assertNothingRuns(world);
  });

  it("is told of where it cannot be stored, and stored with the next connection", async () => {
    const { world, ensemble, store, connected } = setUp();
    store.saving = () => Promise.reject(new EverholdError("EVH_DATA_FOLDER", "no room"));
    const client = await connected();
    const codes: string[] = [];
    client.on("error", ({ error }) => codes.push(error.code));
    assert.equal(await store.load(), undefined);
    ensemble.connected.kill();
    await world.advance(2000);
    assert.deepEqual([codes, client.state], [["EVH_DATA_FOLDER"], "connected"]);
    store.saving = () => Promise.resolve();
    ensemble.connected.kill();
    await world.advance(2000);
    assert.equal(store.stored?.sessionId, client.sessionId);
    const before = store.calls.length;
    ensemble.connected.kill();
    await world.advance(2000);
    assert.equal(store.calls.length, before);
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("stays stored, and the store is given back, where the servers refuse who the client is", async () => {
    const { world, ensemble, store, connected } = setUp();
    const client = await connected();
    ensemble.authPassword = "u:p";
    const refused = client.addAuth("digest", "u:wrong");
    assertError(await rejection(world, refused), "EVH_SECURITY");
    assert.deepEqual([client.state, store.calls], ["authFailed", ["load", "save", "close"]]);
    await world.now(client.close());
    assert.equal(store.calls.length, 3);
    assertNothingRuns(world);
  });
});

describe("a store that hangs", () => {
  async function connectedTo({ world, store }: Setup): Promise<ZooKeeper> {
    store.saving = () => new Promise(() => undefined);
    const options = { sessionTimeout: 6000, sessionStore: store };
    const connecting = connect(world.ports, "a,b,c", options);
    await world.advance(5000);
    return world.now(connecting);
  }

  it("is waited for once, and not with every connection", async () => {
    const setup = setUp();
    const { world, ensemble, store } = setup;
    const client = await connectedTo(setup);
    ensemble.sessions.clear();
    ensemble.connected.kill();
    await world.advance(1000);
    assert.deepEqual([client.state, client.epoch], ["connected", 2]);
    assert.deepEqual(store.calls, ["load", "save"]);
    await world.now(client.close({ timeout: 0 }));
    assertNothingRuns(world);
  });

  it("is given what there is by then when it answers after all", async () => {
    const setup = setUp();
    const { world, ensemble, store } = setup;
    let answer: (() => void) | undefined;
    const saving = new Promise<void>((resolve) => (answer = resolve));
    const connecting = connectedTo(setup);
    store.saving = () => saving;
    const client = await connecting;
    ensemble.sessions.clear();
    ensemble.connected.kill();
    await world.advance(1000);
    answer?.();
    await world.settle();
    assert.equal(client.epoch, 2);
    assert.equal(store.stored?.sessionId, client.sessionId);
    assert.deepEqual(store.calls, ["load", "save", "save"]);
    await world.now(client.close());
    assert.deepEqual(store.calls.slice(3), ["forget", "close"]);
    assertNothingRuns(world);
  });

  for (const [timeout, ms, told] of [
    [0, 0, []],
    [100, 100, ["EVH_TIMEOUT"]],
    [undefined, 5000, ["EVH_TIMEOUT"]],
  ] as const) {
    it(`does not keep a client from closing, within ${timeout} ms`, async () => {
      const setup = setUp();
      const { world } = setup;
      const client = await connectedTo(setup);
      const codes: string[] = [];
      client.on("error", ({ error }) => codes.push(error.code));
      const closing = client.close(timeout === undefined ? {} : { timeout });
      await world.advance(ms);
      await world.now(closing);
      assert.deepEqual(codes, told);
      assertNothingRuns(world);
    });
  }

  it("does so neither where its client was ended by the servers", async () => {
    const setup = setUp();
    const { world, ensemble, store } = setup;
    const client = await setup.connected();
    store.close = () => new Promise(() => undefined);
    ensemble.authPassword = "u:p";
    assertError(await rejection(world, client.addAuth("digest", "u:wrong")), "EVH_SECURITY");
    await world.now(client.close({ timeout: 0 }));
    assertNothingRuns(world);
  });
});

describe("a store that fails", () => {
  it("is asked again after pauses that grow, until the session is stored", async () => {
    const { world, store, connected } = setUp();
    store.saving = () => Promise.reject(new EverholdError("EVH_DATA_FOLDER", "no room"));
    const client = await connected();
    const savesAtMs: number[] = [];
    const fromMs = world.nowMs;
    const savesOf = store.save.bind(store);
    store.save = (session) => {
      savesAtMs.push(world.nowMs - fromMs);
      return savesOf(session);
    };
    await world.advance(150_000);
    assert.deepEqual(
      savesAtMs,
      [1, 3, 7, 15, 31, 63, 123].map((seconds) => seconds * 1000),
    );
    store.saving = () => Promise.resolve();
    await world.advance(100_000);
    assert.equal(savesAtMs.length, 8);
    assert.equal(store.stored?.sessionId, client.sessionId);
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("is asked once more when the client is closed, and leaves nothing running", async () => {
    const { world, ensemble, store, connected } = setUp();
    store.saving = () => Promise.reject(new EverholdError("EVH_DATA_FOLDER", "no room"));
    const client = await connected();
    for (const server of ensemble.servers) server.kill();
    await world.settle();
    await world.now(client.close({ timeout: 0 }));
    await world.settle();
    assert.deepEqual(store.calls, ["load", "save", "save", "close"]);
    assertNothingRuns(world);
  });

  it("because somebody else has it is told once, and left alone", async () => {
    const { world, ensemble, store, connected } = setUp();
    const client = await connected();
    const codes: string[] = [];
    client.on("error", ({ error }) => codes.push(error.code));
    store.saving = () => Promise.reject(new EverholdError("EVH_DATA_LOCKED", "process 7 on b"));
    store.close = () => Promise.reject(new EverholdError("EVH_DATA_LOCKED", "process 7 on b"));
    for (let epoch = 2; epoch < 4; epoch += 1) {
      ensemble.sessions.clear();
      ensemble.connected.kill();
      await world.advance(5000);
      assert.equal(client.epoch, epoch);
    }
    await world.now(client.close());
    assert.deepEqual(codes, ["EVH_DATA_LOCKED"]);
    assert.deepEqual(store.calls, ["load", "save", "save"]);
    const line = "The ZooKeeper session is not kept any more";
    assert.equal(world.warnings.filter((warning) => warning === line).length, 1);
    assertNothingRuns(world);
  });

  it("when its client has ended already is told in the log", async () => {
    const { world, ensemble, store, connected } = setUp();
    const client = await connected();
    store.close = () => Promise.reject(new EverholdError("EVH_DATA_FOLDER", "gone"));
    ensemble.authPassword = "u:p";
    assertError(await rejection(world, client.addAuth("digest", "u:wrong")), "EVH_SECURITY");
    await world.settle();
    assert.equal(client.state, "authFailed");
    assert.equal(world.warnings.at(-1), "Something failed after a ZooKeeper client was closed");
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("to be given back at once is free when connect has failed", async () => {
    const { world, ensemble, store } = setUp();
    for (const server of ensemble.servers) server.kill();
    let give: (() => void) | undefined;
    store.close = () => new Promise((resolve) => (give = resolve));
    const connecting = connect(world.ports, "a", { sessionStore: store, connectTimeout: 100 });
    let isSettled = false;
    connecting.catch(() => (isSettled = true));
    await world.advance(100);
    assert.ok(!isSettled && give !== undefined);
    give();
    assertError(await rejection(world, connecting), "EVH_NOT_CONNECTED");
    assertNothingRuns(world);
  });
});

describe("a store that refuses, or gives what is no session", () => {
  const given: Readonly<Record<string, unknown>> = {
    null: null,
    "a number": 7,
    "a session without a password": { sessionId: 7n, sessionTimeout: 6000 },
    "a password that is too short": {
      sessionId: 7n,
      password: new Uint8Array(5),
      sessionTimeout: 6000,
    },
    "no session": { sessionId: 0n, password: new Uint8Array(16), sessionTimeout: 6000 },
    "no timeout": { sessionId: 7n, password: new Uint8Array(16), sessionTimeout: Number.NaN },
  };
  for (const [name, stored] of Object.entries(given)) {
    it(`ends connect, and is closed: ${name}`, async () => {
      const { world, store } = setUp();
      store.stored = stored as never;
      const connecting = connect(world.ports, "a", { sessionStore: store });
      assertError(await rejection(world, connecting), "EVH_CONFIG");
      assert.deepEqual(store.calls, ["load", "close"]);
      assertNothingRuns(world);
    });
  }

  it("ends connect with what it throws, and is not called again", async () => {
    const { world, store, ensemble } = setUp();
    store.load = () => Promise.reject(new EverholdError("EVH_DATA_LOCKED", "in use"));
    const connecting = connect(world.ports, "a", { sessionStore: store });
    assertError(await rejection(world, connecting), "EVH_DATA_LOCKED");
    assert.deepEqual([store.calls, ensemble.hellos], [[], []]);
    assertNothingRuns(world);
  });

  it("may take its time, which is not that of the servers", async () => {
    const { world, store, ensemble } = setUp();
    let answer: ((stored: undefined) => void) | undefined;
    store.load = () => new Promise((resolve) => (answer = resolve));
    for (const server of ensemble.servers) server.kill();
    const connecting = connect(world.ports, "a", { sessionStore: store, connectTimeout: 500 });
    connecting.catch(() => undefined);
    await world.advance(10_000);
    answer?.(undefined);
    await world.advance(499);
    assert.deepEqual(store.calls, []);
    await world.advance(1);
    assertError(await rejection(world, connecting), "EVH_NOT_CONNECTED");
    assert.equal(store.calls.at(-1), "close");
    assertNothingRuns(world);
  });

  it("ends connect in time where it does not answer, and is closed when it does", async () => {
    const { world, store } = setUp();
    let answer: ((stored: undefined) => void) | undefined;
    store.load = () => new Promise((resolve) => (answer = resolve));
    const connecting = connect(world.ports, "a", { sessionStore: store, connectTimeout: 500 });
    connecting.catch(() => undefined);
    await world.advance(30_000);
    assertError(await rejection(world, connecting), "EVH_TIMEOUT");
    assert.deepEqual(store.calls, []);
    answer?.(undefined);
    await world.settle();
    assert.deepEqual(store.calls, ["close"]);
    assertNothingRuns(world);
  });

  it("is refused as an option where it is no store", async () => {
    const { world } = setUp();
    for (const sessionStore of [null, "a folder", { load: () => undefined }]) {
      const options = { sessionStore } as unknown as ZooKeeperOptions;
      assertError(await rejection(world, connect(world.ports, "a", options)), "EVH_CONFIG");
    }
  });
});
