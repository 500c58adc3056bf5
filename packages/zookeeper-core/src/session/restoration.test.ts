import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError } from "@everhold/test-world";
import { operations } from "../protocol/operations.ts";
import { forever, requestOf, setUp, typesOf } from "../testing/setup.test-support.ts";
import type { WatchRequest } from "../watches/watch-request.ts";
import { sessionLimits } from "./session-limits.ts";
import { noWatches, type Notification, type Restoring, type WatchHost } from "./session-hooks.ts";

/** Watches that write down what they are told. */
function notingWatches(change: Partial<WatchHost> = {}): {
  readonly watches: WatchHost;
  readonly notes: string[];
} {
  const notes: string[] = [];
  const restore = async (name: string, restoring: Restoring): Promise<void> => {
    notes.push(`${name} epoch ${restoring.epoch} from ${restoring.lastZxid}`);
    await restoring.requests.request(requestOf("/restored", operations.setWatches2), forever);
  };
  const watches: WatchHost = {
    ...noWatches,
    onWatchedReply: (path, _watch, { header, wasAsked }) =>
      void notes.push(`reply ${path} ${header.errorCode} ${wasAsked}`),
    onNotification: ({ type, path }: Notification) => void notes.push(`event ${type} ${path}`),
    restoreSameSession: (restoring) => restore("same", restoring),
    restoreNewSession: async (restoring) => {
      await restore("new", restoring);
      return { watchCount: 1 };
    },
    onSessionLost: (epoch) => void notes.push(`lost ${epoch}`),
    onClosed: () => void notes.push("closed"),
    ...change,
  };
  return { watches, notes };
}

const watch: WatchRequest = { kind: "data", onEvent: () => undefined };

describe("watches on a session", () => {
  it("are restored before anything else is sent, with the last transaction that was seen", async () => {
    const { watches, notes } = notingWatches();
    const { world, ensemble, session } = await setUp({ watches });
    await world.now(session.request(requestOf(), forever));
    const seen = ensemble.zxid;
    ensemble.takeCodes();
    ensemble.connected.kill();
    await world.settle();
    const waiting = session.request(requestOf(), forever);
    await world.advance(200);
    await world.now(waiting);
    const { setWatches2, delete: remove } = operations;
    assert.deepEqual(ensemble.takeCodes(), [setWatches2.code, remove.code]);
    assert.equal(ensemble.received.length, 0);
    assert.deepEqual(notes, [`same epoch 1 from ${seen}`]);
  });

  it("that a server which only answers pings leaves out are asked of another one", async () => {
    const { watches } = notingWatches();
    const { world, ensemble, session, events } = await setUp({ watches });
    const stuck: string[] = [];
    ensemble.rule = ({ code, server }) => {
      if (code !== operations.setWatches2.code) return "usual";
      if (stuck.length === 0) stuck.push(server);
      return stuck.includes(server) ? "drop" : "usual";
    };
    ensemble.connected.kill();
    await world.advance(sessionLimits.readyMsMin);
    assert.equal(session.state, "suspended");
    await world.advance(6000);
    assert.equal(session.state, "connected");
    assert.notEqual(ensemble.connected.host, stuck[0]);
    const reconnected = events.find(({ type }) => type === "reconnected");
    assert.ok(reconnected?.type === "reconnected" && !reconnected.sessionChanged);
    const failed = events.find(({ type }) => type === "error");
    assert.ok(failed?.type === "error");
    assertError(failed.error, "EVH_TIMEOUT");
  });

  it("are restored again from where they stood last when that was interrupted", async () => {
    const { watches, notes } = notingWatches();
    const { world, ensemble, session } = await setUp({ watches });
    await world.now(session.request(requestOf(), forever));
    const seen = ensemble.zxid;
    let left = 2;
    ensemble.rule = ({ code }) => {
      if (code !== operations.setWatches2.code || left === 0) return "usual";
      left -= 1;
      ensemble.zxid += 50n;
      return "close";
    };
    ensemble.connected.kill();
    await world.advance(5000);
    assert.equal(session.state, "connected");
    const note = `same epoch 1 from ${seen}`;
    assert.deepEqual(notes, [note, note, note]);
  });

  it("are restored in a new session, and the event says so", async () => {
    const { watches, notes } = notingWatches();
    const { world, ensemble, events } = await setUp({ watches });
    ensemble.sessions.clear();
    ensemble.connected.kill();
    await world.advance(200);
    assert.deepEqual(
      notes.map((note) => note.replace(/ from .*/, "")),
      ["lost 1", "new epoch 2"],
    );
    const again = events.at(-1);
    assert.ok(again?.type === "reconnected" && again.restored?.watchCount === 1);
  });

  it("whose restoration fails have the connection given up, and tried again", async () => {
    let failures = 3;
    const { watches } = notingWatches({
      restoreSameSession: async () => {
        failures -= 1;
        if (failures >= 0) throw new Error("the test says so");
      },
    });
    const { world, ensemble, session, events } = await setUp({ watches });
    ensemble.connected.kill();
    await world.advance(6000);
    assert.equal(session.state, "connected");
    const errors = events.filter(({ type }) => type === "error");
    assert.equal(errors.length, 3);
    const [first] = errors;
    if (first?.type === "error") assertError(first.error, "EVH_INTERNAL");
  });

  it("hear of answers and notifications in the order of the wire", async () => {
    const { watches, notes } = notingWatches();
    const { world, ensemble, session } = await setUp({ watches, hosts: ["a"] });
    ensemble.rule = () => "drop";
    const first = session.request({ ...requestOf("/a"), watch }, forever);
    const second = session.request({ ...requestOf("/b"), watch }, forever);
    second.catch(() => undefined);
    await world.settle();
    const [connection] = ensemble.connected.connections;
    connection?.reply(1);
    connection?.notify(3, "/a");
    connection?.reply(2, { errorCode: -101 });
    await world.now(first);
    assert.deepEqual(notes, ["reply /a 0 true", "event 3 /a", "reply /b -101 true"]);
  });

  it("that throw hurt nobody, and an event says so", async () => {
    const { watches } = notingWatches({
      onNotification: () => {
        throw new Error("the test says so");
      },
    });
    const { world, ensemble, session, events } = await setUp({ watches });
    ensemble.connected.connections[0]?.notify(3, "/a");
    await world.settle();
    assert.equal(await world.now(session.request(requestOf(), forever)), 0);
    assert.deepEqual(typesOf(events), ["connected", "error"]);
  });
});
