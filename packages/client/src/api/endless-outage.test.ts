import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import { packets } from "@everhold/wire";
import type { Message } from "../receive/message.ts";
import { setUp, type Setup } from "../testing/setup.test-support.ts";
import type { Received, TestBroker, Verdict } from "../testing/test-broker.test-support.ts";
import type { Branch } from "./branch.ts";
import type { Consumer } from "./consumer.ts";
import type { Session } from "./session.ts";

const failoverTimeout = 3000;
const endless = { timeout: Infinity };

/** Everything that a call may need, made while the broker was there. */
interface Stage extends Setup {
  readonly consumer: Consumer;
  /** One that nobody has received from. */
  readonly idle: Consumer;
  readonly message: Message;
  readonly streamed: AsyncIterator<Uint8Array>;
  readonly topic: Consumer;
  readonly session: Session;
  readonly transacted: Session;
  readonly inTransaction: Consumer;
  readonly taken: Message;
  readonly branch: Branch;
  readonly prepared: Branch;
}

async function setStage(): Promise<Stage> {
  const setup = await setUp({ failoverTimeout, callTimeout: 10_000_000 }, (broker) => {
    broker.features = ["mark/1", "settle/1"];
  });
  const { world, broker, connection } = setup;
  broker.rule = answerBranches(broker);
  const producer = connection.producer("q");
  await world.now(producer.sendBatch([{ body: "a" }, { body: "b" }, { body: "c" }]));
  await world.now(connection.send("t", "a"));
  broker.queue("large");
  await world.now(connection.producer("store").send("opens"));
  await world.now(connection.send("bodies", new Uint8Array(2000)));
  const [stored] = broker.queue("bodies").messages.splice(0);
  const large = connection.consumer("bodies", { streamAbove: 0 });
  await world.now(large.ready());
  const parts = broker.lastSession.largeFrames(0, stored?.bytes ?? new Uint8Array(0), 300);
  for (let count = 0; count < 2; count += 1) parts.next();
  const streaming = await received(setup, large);
  const streamed = streaming.bodyStream();
  await world.now(streamed.next());
  const consumer = connection.consumer("q", { prefetch: 1 });
  const message = await received(setup, consumer);
  const idle = connection.consumer("idle");
  const topic = connection.subscribe("topic");
  await world.now(Promise.all([idle.ready(), topic.ready()]));
  const session = await world.now(connection.session());
  const transacted = await world.now(connection.session({ transacted: true }));
  const inTransaction = transacted.consumer("t");
  const taken = await received(setup, inTransaction);
  await world.now(transacted.send("q", "x"));
  const branch = await world.now(connection.twoPhase.begin());
  await world.now(branch.send("q", "x"));
  const prepared = await world.now(connection.twoPhase.begin());
  await world.now(prepared.prepare());
  await world.now(connection.request("q", "x", { timeout: 1 })).catch(() => undefined);
  return {
    ...setup,
    consumer,
    idle,
    message,
    streamed,
    topic,
    session,
    transacted,
    inTransaction,
    taken,
    branch,
    prepared,
  };
}

/** A rule that lets every request about a branch succeed. */
function answerBranches(broker: TestBroker): (packet: Received) => Verdict {
  return ({ name, channelId }) => {
    if (!name.startsWith("SESS_XA")) return "usual";
    const answer = { error: false, responseCode: 0, message: null, correlationId: 1 };
    for (const one of broker.connections) {
      if (name === packets.xaInDoubtXids.name) {
        one.send(packets.xaInDoubtXidsResponse, channelId, { xids: [] });
      } else one.send(packets.xaResponse, channelId, answer);
    }
    return "drop";
  };
}

async function received({ world }: Setup, consumer: Consumer): Promise<Message> {
  const message = await world.now(consumer.receive());
  assert.ok(message !== null);
  return message;
}

const xid = {
  formatId: 1,
  globalTransactionId: Uint8Array.of(1),
  branchQualifier: Uint8Array.of(1),
};

/**
 * A call, and what it comes to: `done`, or the outcome of its rejection with EVH_NOT_CONNECTED. Those with `…`
 * have waited until the outage lasted longer than `failoverTimeout`.
 */
type Row = readonly [
  call: (stage: Stage) => Promise<unknown>,
  before: string,
  during: string,
  after: string,
];

/** Those of one group are made at the same time. */
const groups: readonly Readonly<Record<string, Row>>[] = [
  {
    "connection.send": [
      ({ connection }) => connection.send("q", "x"),
      "… unknown",
      "… none",
      "none",
    ],
    "connection.send, not durable": [
      ({ connection }) => connection.send("q", "x", { durable: false }),
      "… unknown",
      "… none",
      "none",
    ],
    "connection.send, of a stream": [
      ({ connection }) =>
        connection.send("q", () =>
          (async function* () {
            yield new Uint8Array(1000);
          })(),
        ),
      "… none",
      "… none",
      "none",
    ],
    "producer.sendBatch": [
      ({ connection }) => connection.producer("q").sendBatch([{ body: "x" }]),
      "… unknown",
      "… none",
      "none",
    ],
    "producer.close": [
      async ({ connection }) => {
        const producer = connection.producer("q");
        producer.send("x").catch(() => undefined);
        await producer.close();
      },
      "… done",
      "… done",
      "done",
    ],
    "connection.request": [
      ({ connection }) => connection.request("q", "x", endless),
      "… unknown",
      "… none",
      "none",
    ],
    "connection.session": [
      ({ connection }) => connection.session(endless),
      "… none",
      "… none",
      "none",
    ],
    "connection.transaction": [
      ({ connection }) => connection.transaction((work) => work.send("q", "x"), endless),
      "… none",
      "… none",
      "none",
    ],
    "connection.queueInfo": [
      ({ connection }) => connection.queueInfo("q", endless),
      "… unknown",
      "… none",
      "none",
    ],
    "connection.addressInfo": [
      ({ connection }) => connection.addressInfo("q", endless),
      "… unknown",
      "… none",
      "none",
    ],
    "connection.queueNames": [
      ({ connection }) => connection.queueNames(endless),
      "… unknown",
      "… none",
      "none",
    ],
    "connection.createQueue": [
      ({ connection }) => connection.createQueue("new", {}, endless),
      "… unknown",
      "… none",
      "none",
    ],
    "connection.deleteQueue": [
      ({ connection }) => connection.deleteQueue("q", endless),
      "… unknown",
      "… none",
      "none",
    ],
    "connection.unsubscribe": [
      ({ connection }) => connection.unsubscribe("q", endless),
      "… unknown",
      "… none",
      "none",
    ],
    "connection.browse": [
      ({ connection }) => connection.browse("q").next(),
      "… none",
      "… none",
      "none",
    ],
    "connection.outcome": [
      ({ connection }) =>
        connection.outcome(new EverholdError("EVH_TIMEOUT", "no", { outcome: "unknown" }), endless),
      "done",
      "done",
      "done",
    ],
    "management.invoke": [
      ({ connection }) => connection.management.invoke("broker", "x", [], endless),
      "… unknown",
      "… none",
      "none",
    ],
    "management.attribute": [
      ({ connection }) => connection.management.attribute("broker", "x", endless),
      "… unknown",
      "… none",
      "none",
    ],
    "twoPhase.begin": [
      ({ connection }) => connection.twoPhase.begin(undefined, endless),
      "… none",
      "… none",
      "none",
    ],
    "twoPhase.recover": [
      ({ connection }) => connection.twoPhase.recover(endless),
      "… unknown",
      "… none",
      "none",
    ],
    "twoPhase.commit": [
      ({ connection }) => connection.twoPhase.commit(xid, endless),
      "… unknown",
      "… none",
      "none",
    ],
    "twoPhase.rollback": [
      ({ connection }) => connection.twoPhase.rollback(xid, endless),
      "… unknown",
      "… none",
      "none",
    ],
    "twoPhase.forget": [
      ({ connection }) => connection.twoPhase.forget(xid, endless),
      "… unknown",
      "… none",
      "none",
    ],
    "consumer.ready, of a new one": [
      ({ connection }) => connection.consumer("new").ready(),
      "… none",
      "… none",
      "none",
    ],
    "consumer.receive": [({ idle }) => idle.receive(), "… none", "… none", "none"],
    "consumer.receive, of a new one": [
      ({ connection }) => connection.consumer("new").receive(),
      "… none",
      "… none",
      "none",
    ],
    "message.ack": [({ message }) => message.ack(), "… unknown", "… unknown", "none"],
    "message.bodyStream": [({ streamed }) => streamed.next(), "… none", "… none", "none"],
    "session.send": [({ session }) => session.send("q", "x"), "… none", "… none", "none"],
    "session.commit": [
      ({ transacted }) => transacted.commit(endless),
      "… commit unknown",
      "… commit unknown",
      "none",
    ],
    "branch.send": [({ branch }) => branch.send("q", "x"), "done", "… none", "none"],
    "branch.prepare": [({ branch }) => branch.prepare(endless), "… none", "… none", "none"],
    "branch.commit, of a prepared one": [
      ({ prepared }) => prepared.commit(endless),
      "… unknown",
      "… none",
      "none",
    ],
  },
  {
    "message.release": [({ message }) => message.release(), "… unknown", "… unknown", "none"],
    "consumer.close, of a subscription": [({ topic }) => topic.close(), "… done", "done", "done"],
    "session.rollback": [({ transacted }) => transacted.rollback(), "… done", "done", "done"],
    "branch.commit": [({ branch }) => branch.commit(endless), "… none", "… none", "none"],
    "branch.rollback, of a prepared one": [
      ({ prepared }) => prepared.rollback(endless),
      "… unknown",
      "… none",
      "none",
    ],
  },
  {
    "message.release, with a delay": [
      ({ message }) => message.release({ delay: 5 }),
      "… unknown",
      "… unknown",
      "none",
    ],
    "session.close": [({ session }) => session.close(), "… done", "done", "done"],
    "session.close, of a transaction": [
      ({ transacted }) => transacted.close(),
      "… done",
      "done",
      "done",
    ],
    "branch.rollback": [({ branch }) => branch.rollback(endless), "… done", "done", "done"],
  },
  {
    "message.reject": [({ message }) => message.reject("no"), "… unknown", "… unknown", "none"],
    "consumer.close, in a transaction": [
      ({ inTransaction }) => inTransaction.close(),
      "… done",
      "done",
      "done",
    ],
    "branch, left": [async ({ branch }) => branch[Symbol.asyncDispose](), "… done", "done", "done"],
  },
  {
    "message.ack, in a transaction": [({ taken }) => taken.ack(), "done", "… unknown", "none"],
    "session.send, in a transaction": [
      ({ transacted }) => transacted.send("q", "x"),
      "done",
      "… none",
      "none",
    ],
    "consumer.close": [({ consumer }) => consumer.close(), "… done", "done", "done"],
  },
  {
    "consumer.drain": [({ consumer }) => consumer.drain(), "… none", "… none", "none"],
  },
  {
    "connection.drain": [
      ({ connection }) => connection.drain(),
      "… unknown",
      "… unknown",
      "unknown",
    ],
  },
  {
    "connection.close": [({ connection }) => connection.close(), "… done", "done", "done"],
  },
];

/** What an error comes to: its outcome, where nothing else is said by its code. */
function words({ code, outcome }: EverholdError): string {
  if (code === "EVH_NOT_CONNECTED") return outcome;
  return code === "EVH_TRANSACTION_OUTCOME_UNKNOWN" ? `commit ${outcome}` : `${code} ${outcome}`;
}

/** What a call has come to. */
function watch(call: () => Promise<unknown>): { outcome: string } {
  const seen = { outcome: "waits" };
  let calling: Promise<unknown>;
  try {
    calling = call();
  } catch (error) {
    calling = Promise.reject(error);
  }
  calling.then(
    () => (seen.outcome = "done"),
    (error: unknown) => {
      seen.outcome = EverholdError.is(error) ? words(error) : `untyped ${String(error)}`;
    },
  );
  return seen;
}

describe("in an endless outage", () => {
  it("a loop, a run, and who asks for a connection wait on, and go on with it", async () => {
    const { world, broker, connection } = await setUp({ failoverTimeout });
    const looping = connection.consumer("a")[Symbol.asyncIterator]();
    const running = connection.consumer("b");
    const seen: string[] = [];
    const run = running.run((message) => void seen.push(message.text()));
    const next = looping.next();
    await world.settle();
    broker.kill();
    await world.advance(10 * failoverTimeout);
    const reconnecting = connection.reconnect();
    assert.deepEqual(
      await Promise.all([next, run, reconnecting].map((one) => world.isPending(one))),
      [true, true, true],
    );
    broker.start();
    await world.advance(20_000);
    await world.now(reconnecting);
    await world.now(Promise.all([connection.send("a", "1"), connection.send("b", "2")]));
    const result = await world.now(next);
    assert.equal(result.done, false);
    assert.deepEqual(seen, ["2"]);
    await world.now(connection.close());
    await world.now(run);
  });

  it("an acknowledgement that nobody waits for any longer is done, and may be asked about again", async () => {
    const { world, broker, connection } = await setUp({ failoverTimeout });
    await world.now(connection.send("q", "x"));
    const message = await world.now(connection.consumer("q").receive());
    assert.ok(message !== null);
    broker.cutKeeping();
    broker.stop();
    await world.settle();
    const acking = message.ack();
    acking.catch(() => undefined);
    await world.advance(failoverTimeout);
    assertError(await rejection(world, acking), "EVH_NOT_CONNECTED", "unknown");
    assertError(await rejection(world, message.ack()), "EVH_NOT_CONNECTED");
    broker.start();
    await world.advance(20_000);
    await world.now(message.ack());
    assert.deepEqual(broker.queue("q").messages, []);
    await world.now(connection.close());
  });

  it("a branch that may be prepared can be rolled back, whatever became of it", async () => {
    const { world, broker, connection } = await setUp({ failoverTimeout });
    const answer = answerBranches(broker);
    broker.rule = answer;
    const branch = await world.now(connection.twoPhase.begin());
    broker.rule = (packet) => (packet.name === "SESS_XA_PREPARE" ? "drop" : answer(packet));
    const preparing = branch.prepare({ timeout: 50 });
    preparing.catch(() => undefined);
    await world.settle();
    broker.kill();
    await world.advance(50);
    assertError(await rejection(world, preparing), "EVH_TRANSACTION_OUTCOME_UNKNOWN", "unknown");
    assertError(await rejection(world, branch.commit()), "EVH_ILLEGAL_STATE");
    broker.rule = answer;
    broker.start();
    await world.advance(1000);
    await world.now(branch.rollback());
    assert.equal(broker.got("SESS_XA_ROLLBACK").length, 1);
    await world.now(connection.close());
    assertNothingRuns(world);
  });
});

/** Makes the calls of each group before an outage (0), during one (1), or after `failoverTimeout` (2). */
async function makeCalls(column: 0 | 1 | 2): Promise<void> {
  for (const group of groups) {
    const stage = await setStage();
    const { world, broker, connection } = stage;
    if (column === 0) broker.rule = () => "drop";
    else broker.kill();
    await world.settle();
    if (column === 2) await world.advance(failoverTimeout);
    const made = Object.entries(group).map(([name, [call]]) => {
      return { name, seen: watch(() => call(stage)), early: "" };
    });
    await world.settle();
    for (const one of made) one.early = one.seen.outcome;
    if (column === 0) broker.kill();
    if (column < 2) await world.advance(failoverTimeout);
    const found = made.map(({ name, seen: { outcome }, early }) => {
      return [name, early === outcome ? outcome : `… ${outcome}`];
    });
    const expected = Object.entries(group).map(([name, row]) => [name, row[column + 1]]);
    assert.deepEqual(found, expected);
    await world.now(connection.close());
    await world.settle();
    assertNothingRuns(world);
  }
}

describe("every call settles in an endless outage", () => {
  it("when it was made before it", () => makeCalls(0));

  it("when it is made during it", () => makeCalls(1));

  it("when it is made after failoverTimeout", () => makeCalls(2));
});
