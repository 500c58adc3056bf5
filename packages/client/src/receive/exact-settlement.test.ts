import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { packets, resumeResults } from "@everhold/wire";
import { assertError, rejection } from "@everhold/test-world";
import type { ConnectOptions } from "../options.ts";
import { setUp, type Setup } from "../testing/setup.test-support.ts";
import type { Received, TestBroker, Verdict } from "../testing/test-broker.test-support.ts";
import { textOf } from "../testing/test-session.test-support.ts";
import type { Message } from "./message.ts";

/** A connection to a broker that settles exactly, with these messages in the queue `q`. */
async function setUpExact(count: number, options: ConnectOptions = {}): Promise<Setup> {
  const setup = await setUp(options, (broker) => {
    broker.features = ["mark/1", "settle/1"];
  });
  const producer = setup.connection.producer("q");
  const sends = Array.from({ length: count }, (_, index) => producer.send(`m${index}`));
  await setup.world.now(Promise.all(sends));
  setup.broker.received.length = 0;
  return setup;
}

async function next(
  setup: Setup,
  consumer: { receive(): Promise<Message | null> },
): Promise<Message> {
  const message = await setup.world.now(consumer.receive());
  assert.ok(message !== null);
  return message;
}

/** What is in a queue, with delivery counts. */
function counted(broker: TestBroker, queue = "q"): string[] {
  return broker.queue(queue).messages.map((one) => `${textOf(one)} ${one.deliveryCount}`);
}

/** SETTLE packets that arrived, as action and message id. */
function settled(broker: TestBroker): [unknown, unknown][] {
  return broker.got("EVERHOLD_SETTLE").map((value) => [value["action"], value["delayMs"]]);
}

/** Whether it sends the copy of a rejected message. */
function isCopy({ name, value }: Received): boolean {
  const { message } = value;
  return (
    name === "SESS_SEND" &&
    message instanceof Uint8Array &&
    Buffer.from(message).includes(Buffer.from("rejected:q:", "utf16le"))
  );
}

describe("a rejection whose answer was lost", () => {
  for (const [told, expected] of [
    ["resume/2", ["no use", null]],
    ["outcome/1", null],
  ] as const) {
    it(`is told as the session goes on, ${expected === null ? "without" : "with"} its reason at a broker with ${told}`, async () => {
      // What the broker says to it does not matter here.
      const refused = 104;
      const answer = ({ name }: Received): Verdict => {
        if (name === "EVERHOLD_SETTLE") return "drop";
        return name === "EVERHOLD_RESUME" ? refused : "usual";
      };
      const setup = await setUp({}, (broker) => {
        broker.features = ["mark/1", "settle/1", "resume/1", told];
        broker.rule = answer;
      });
      const { world, broker, connection } = setup;
      await world.now(Promise.all(["a", "b"].map((text) => connection.send("q", text))));
      const consumer = connection.consumer("q");
      const rejected = [await next(setup, consumer), await next(setup, consumer)];
      const rejecting = [rejected[0]?.reject("no use"), rejected[1]?.reject()];
      for (const one of rejecting) one?.catch(() => undefined);
      await world.settle();
      broker.received.length = 0;
      broker.kill();
      await world.settle();
      broker.start();
      await world.advance(1000);
      const said = broker.got("EVERHOLD_RESUME").find(({ settlements }) => {
        return Array.isArray(settlements) && settlements.length > 0;
      });
      assert.deepEqual(said?.["reasons"], expected);
      broker.kill();
      await world.settle();
      await world.now(connection.close());
    });
  }
});

describe("an acknowledgement whose answer was lost", () => {
  it("is not claimed again where the message was somebody else's: it is done if that one comes again", async () => {
    for (const [comesAgain, expected] of [
      [false, "none"],
      [true, "applied"],
    ] as const) {
      const claims: number[] = [];
      const setup = await setUp({}, (broker) => {
        broker.features = ["mark/1", "settle/1", "resume/1"];
        broker.rule = ({ name, value, channelId }) => {
          // In its second life it does not get as far as to be told what comes again.
          if (name === "SESS_CREATECONSUMER" && claims.length === 1) return "drop";
          if (name === "SESS_ACKNOWLEDGE" && claims.length < 2) return "drop";
          if (name !== "EVERHOLD_RESUME") return "usual";
          const { settlements, correlationId, oldSession } = value;
          const claimCount = Array.isArray(settlements) ? settlements.length : 0;
          // Of before the first life there is nothing to go on for.
          if (oldSession !== "") claims.push(claimCount);
          const said = { commit: 0, code: 0, correlationId: Number(correlationId) };
          const results = Uint8Array.from({ length: claimCount }, () => resumeResults.elsewhere);
          const connection = broker.connections.at(-1);
          connection?.send(packets.resumed, channelId, { ...said, settlements: results });
          return "drop";
        };
      });
      const { world, broker, connection } = setup;
      await world.now(connection.send("q", "a"));
      const message = await next(setup, connection.consumer("q"));
      const acking = message.ack().then(
        () => "applied",
        (error: unknown) => (EverholdError.is(error) ? error.outcome : String(error)),
      );
      await world.settle();
      for (const life of [1, 2]) {
        broker.kill();
        await world.settle();
        if (!comesAgain) broker.queue("q").messages.length = 0;
        broker.start();
        await world.advance(10_000);
        assert.ok(claims.length >= life);
      }
      assert.equal(await world.now(acking), expected);
      assert.deepEqual(claims.slice(0, 2), [1, 0]);
      await world.now(connection.close());
    }
  });
});

describe("a release that the broker does exactly", () => {
  it("brings the message back at its place, counted, and those behind it as they were", async () => {
    const setup = await setUpExact(3);
    const { world, broker, connection } = setup;
    const consumer = connection.consumer("q");
    await world.now((await next(setup, consumer)).ack());
    await world.now((await next(setup, consumer)).release());
    const again = await next(setup, consumer);
    assert.deepEqual([again.text(), again.deliveryCount], ["m1", 2]);
    const behind = await next(setup, consumer);
    assert.deepEqual([behind.text(), behind.deliveryCount], ["m2", 1]);
    await world.now(Promise.all([again.ack(), behind.ack()]));
    assert.equal(broker.got("SESS_ROLLBACK").length, 0);
    assert.deepEqual(settled(broker), [
      [2, -1],
      [0, -1],
    ]);
  });

  it("waits for nothing in hand, and counts each message by itself", async () => {
    const setup = await setUpExact(5);
    const { world, connection } = setup;
    const consumer = connection.consumer("q");
    const taken = [];
    for (let count = 0; count < 4; count += 1) taken.push(await next(setup, consumer));
    const [m0, m1, m2, m3] = taken;
    await world.now(Promise.all([m0?.release(), m2?.release()]));
    const again = [await next(setup, consumer), await next(setup, consumer)];
    assert.deepEqual(
      again.map((message) => `${message.text()} ${message.deliveryCount}`),
      ["m0 2", "m2 2"],
    );
    assert.equal((await next(setup, consumer)).deliveryCount, 1);
    await world.now(Promise.all([m1?.ack(), m3?.ack(), ...again.map((one) => one.ack())]));
  });

  it("with a delay leaves the others where they are", async () => {
    const setup = await setUpExact(3);
    const { world, broker, connection } = setup;
    const consumer = connection.consumer("q");
    await world.now((await next(setup, consumer)).release({ delay: 5000 }));
    assert.equal((await next(setup, consumer)).text(), "m1");
    assert.deepEqual(settled(broker), [[0, 5000]]);
    assert.equal(broker.got("SESS_STOP").length, 0);
  });

  it("is passed over by acknowledgements of what was delivered after it", async () => {
    const setup = await setUpExact(3);
    const { world, broker, connection } = setup;
    const consumer = connection.consumer("q", { prefetch: 3 });
    const taken = [await next(setup, consumer), await next(setup, consumer)];
    const third = await next(setup, consumer);
    const [first, second] = taken;
    assert.ok(first !== undefined && second !== undefined);
    await world.now(Promise.all([first.ack(), second.release({ delay: 1 }), third.ack()]));
    await world.now(consumer.close());
    assert.deepEqual(counted(broker), ["m1 1"]);
  });

  it("of a message that the broker does not find any more is refused", async () => {
    const setup = await setUpExact(1);
    const { world, broker, connection } = setup;
    const message = await next(setup, connection.consumer("q"));
    broker.rule = ({ name }) => (name === "EVERHOLD_SETTLE" ? 104 : "usual");
    assertError(await rejection(world, message.release()), "EVH_ILLEGAL_STATE");
  });

  it("is done when the connection breaks meanwhile, for then the broker has it back", async () => {
    for (const dropped of ["SESS_STOP", "EVERHOLD_SETTLE"]) {
      const setup = await setUpExact(2);
      const { world, broker, connection } = setup;
      const consumer = connection.consumer("q");
      const message = await next(setup, consumer);
      broker.rule = ({ name }) => (name === dropped ? "drop" : "usual");
      const releasing = message.release();
      await world.settle();
      broker.rule = () => "usual";
      broker.cut();
      await world.advance(1000);
      await world.now(releasing);
      assert.equal((await next(setup, consumer)).text(), "m0");
      assert.equal((await next(setup, consumer)).text(), "m1");
    }
  });

  it("begins anew when the broker does not stand still for it", async () => {
    const setup = await setUpExact(2);
    const { world, broker, connection } = setup;
    const consumer = connection.consumer("q");
    const message = await next(setup, consumer);
    broker.rule = ({ name }) => (name === "SESS_STOP" ? 104 : "usual");
    const releasing = message.release();
    await world.settle();
    broker.rule = () => "usual";
    await world.advance(1000);
    await world.now(releasing);
    assert.equal((await next(setup, consumer)).text(), "m0");
    assert.equal((await next(setup, consumer)).text(), "m1");
  });

  it("refuses a delay that is none", async () => {
    const setup = await setUpExact(1);
    const message = await next(setup, setup.connection.consumer("q"));
    for (const delay of [-1, 0.5, Number.NaN, 366 * 86_400_000]) {
      await assert.rejects(message.release({ delay }), RangeError);
    }
    await setup.world.now(message.ack());
  });

  it("comes before the end of its consumer, which counts what is in hand and nothing else", async () => {
    const setup = await setUpExact(4);
    const { world, broker, connection } = setup;
    const consumer = connection.consumer("q");
    const first = await next(setup, consumer);
    await next(setup, consumer);
    await next(setup, consumer);
    await world.now(Promise.all([first.release(), consumer.close()]));
    assert.deepEqual(counted(broker).toSorted(), ["m0 1", "m1 1", "m2 1", "m3 0"]);
  });

  it("is one for the whole of a transaction, as ever", async () => {
    const setup = await setUpExact(1);
    const { world, broker, connection } = setup;
    const session = await world.now(connection.session({ transacted: true }));
    const message = await next(setup, session.consumer("q"));
    assertError(await rejection(world, message.release()), "EVH_ILLEGAL_STATE");
    await world.now(message.reject("no"));
    await world.now(session.commit());
    assert.deepEqual(settled(broker), []);
    assert.deepEqual(counted(broker, "DLQ"), ["m0 0"]);
  });
});

describe("a rejection that the broker does exactly", () => {
  it("moves the message, with the reason, and leaves the others", async () => {
    const setup = await setUpExact(2);
    const { world, broker, connection } = setup;
    const consumer = connection.consumer("q");
    await world.now((await next(setup, consumer)).reject("no use"));
    await world.now((await next(setup, consumer)).ack());
    await world.now(consumer.close());
    assert.deepEqual(counted(broker), []);
    assert.deepEqual(counted(broker, "DLQ"), ["m0 1"]);
    assert.equal(broker.got("EVERHOLD_SETTLE")[0]?.["reason"], "no use");
  });

  it("is a copy where the application says where it goes", async () => {
    const setup = await setUpExact(1);
    const { world, broker, connection } = setup;
    const consumer = connection.consumer("q", { deadLetterAddress: "grave" });
    await world.now((await next(setup, consumer)).reject());
    assert.deepEqual(counted(broker, "grave"), ["m0 0"]);
    assert.deepEqual(settled(broker), []);
  });

  it("is sent again when the connection broke before the answer and the message comes again", async () => {
    const setup = await setUpExact(1);
    const { world, broker, connection } = setup;
    const message = await next(setup, connection.consumer("q"));
    broker.rule = ({ name }) => (name === "EVERHOLD_SETTLE" ? "drop" : "usual");
    const rejecting = message.reject("no");
    await world.settle();
    broker.rule = () => "usual";
    broker.cut();
    await world.advance(1000);
    await world.now(rejecting);
    assert.deepEqual(counted(broker, "DLQ"), ["m0 2"]);
  });

  it("says that nobody knows when the message does not come again", async () => {
    const setup = await setUpExact(1);
    const { world, broker, connection } = setup;
    const message = await next(setup, connection.consumer("q"));
    broker.rule = ({ name }) => (name === "EVERHOLD_SETTLE" ? "drop" : "usual");
    const rejecting = message.reject("no");
    rejecting.catch(() => undefined);
    await world.settle();
    broker.rule = () => "usual";
    broker.cut();
    await world.settle();
    broker.queue("q").messages.length = 0;
    await world.advance(1000);
    assertError(await rejection(world, rejecting), "EVH_UNBLOCKED", "unknown");
  });

  it("says that nobody knows when the connection broke for good", async () => {
    const setup = await setUpExact(1, { reconnect: false });
    const { world, broker, connection } = setup;
    const message = await next(setup, connection.consumer("q"));
    broker.rule = ({ name }) => (name === "EVERHOLD_SETTLE" ? "drop" : "usual");
    const rejecting = message.reject("no");
    rejecting.catch(() => undefined);
    await world.settle();
    broker.cut();
    assertError(await rejection(world, rejecting), "EVH_UNBLOCKED", "unknown");
  });

  it("by a copy acknowledges nothing before the copy is safe", async () => {
    const setup = await setUpExact(1);
    const { world, broker, connection } = setup;
    const consumer = connection.consumer("q");
    const message = await next(setup, consumer);
    broker.features = [];
    broker.rule = ({ name }) => (name === "EVERHOLD_SETTLE" ? "drop" : "usual");
    const rejecting = message.reject("no");
    rejecting.catch(() => undefined);
    await world.settle();
    for (const verdict of ["drop", 104] as const) {
      broker.rule = (packet) => (isCopy(packet) ? verdict : "usual");
      broker.cut();
      await world.advance(1000);
    }
    assertError(await rejection(world, rejecting), "EVH_ILLEGAL_STATE");
    await world.now(consumer.close());
    assert.deepEqual(counted(broker), ["m0 2"]);
  });

  it("goes on by a copy at a broker that cannot do it exactly", async () => {
    const setup = await setUpExact(1);
    const { world, broker, connection } = setup;
    const message = await next(setup, connection.consumer("q"));
    broker.rule = ({ name }) => (name === "EVERHOLD_SETTLE" ? "drop" : "usual");
    const rejecting = message.reject("no");
    await world.settle();
    broker.rule = () => "usual";
    broker.features = [];
    broker.cut();
    await world.advance(1000);
    await world.now(rejecting);
    assert.deepEqual(counted(broker, "DLQ"), ["m0 0"]);
    assert.deepEqual(counted(broker), []);
  });
});

describe("a rejection that the broker cannot do exactly", () => {
  it("goes where the broker's settings say, which it asks for once", async () => {
    const setup = await setUp({}, (broker) => {
      broker.deadLetterAddress = "grave";
    });
    const { world, broker, connection } = setup;
    await world.now(connection.producer("q").sendBatch([{ body: "m0" }, { body: "m1" }]));
    const consumer = connection.consumer("q");
    const [first, second] = [await next(setup, consumer), await next(setup, consumer)];
    await world.now(first.reject());
    const sends = broker.got("SESS_SEND").length;
    await world.now(second.reject());
    assert.deepEqual(counted(broker, "grave"), ["m0 0", "m1 0"]);
    assert.equal(broker.got("SESS_SEND").length, sends + 1);
  });
});

describe("a release with a delay that the broker cannot do exactly", () => {
  it("is a copy for the same queue that is due later, and an acknowledgement", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    broker.queue("sub", { address: "topic", routing: 0 });
    await world.now(connection.producer("topic", { routing: "multicast" }).send("m0"));
    const message = await next(setup, connection.consumer("sub"));
    await world.now(message.release({ delay: 5000 }));
    const sent = broker.got("SESS_SEND").at(-1)?.["message"];
    assert.ok(sent instanceof Uint8Array);
    const text =
      Buffer.from(sent).toString("utf16le") + Buffer.from(sent.subarray(1)).toString("utf16le");
    assert.match(text, /topic::sub/);
    assert.match(text, /_AMQ_SCHED_DELIVERY/);
    assert.match(text, /delayed:sub:/);
    assert.equal(
      broker.got("SESS_INDIVIDUAL_ACKNOWLEDGE").length + broker.got("SESS_ACKNOWLEDGE").length,
      1,
    );
  });

  it("is the usual one without a delay", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await world.now(connection.producer("q").send("m0"));
    const message = await next(setup, connection.consumer("q"));
    await world.now(message.release({ delay: 0 }));
    assert.equal(broker.got("SESS_ROLLBACK").length, 1);
  });
});
