import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Oracle, type SendRecord } from "./oracle.ts";

/** An oracle with one queue and one topic of two subscriptions, and what it complained about. */
function newOracle(): { oracle: Oracle; problems: string[]; pass: (ms: number) => void } {
  const problems: string[] = [];
  let nowMs = 0;
  const time = { moment: () => nowMs, latestSince: () => nowMs };
  const oracle = new Oracle((text) => problems.push(text), time);
  oracle.queueBound("q", "q", false);
  oracle.queueBound("s1", "topic", false);
  oracle.queueBound("s2", "topic", true);
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { oracle, problems, pass };
}

function send(sequence: number, more: Partial<SendRecord> = {}): SendRecord {
  return { id: `p-${sequence}`, producer: "p", sequence, address: "q", durable: true, ...more };
}

function deliver(oracle: Oracle, queue: string, id: string, redelivered = false, link = "l"): void {
  oracle.delivered({ queue, id, redelivered, isDeadLetter: false, link });
}

function acknowledge(oracle: Oracle, queue: string, id: string): void {
  oracle.acknowledgeStarted(queue, id);
  oracle.acknowledgeSettled(queue, id, "applied");
}

describe("the oracle", () => {
  it("is content when every applied send has its one effect", () => {
    const { oracle, problems } = newOracle();
    oracle.sendStarted(send(1));
    oracle.sendStarted(send(2, { address: "topic" }));
    oracle.sendSettled("p-1", "applied");
    oracle.sendSettled("p-2", "applied");
    for (const [queue, id] of [
      ["q", "p-1"],
      ["s1", "p-2"],
      ["s2", "p-2"],
    ] as const) {
      deliver(oracle, queue, id);
      acknowledge(oracle, queue, id);
    }
    oracle.finish(new Map());
    assert.deepEqual(problems, []);
    assert.deepEqual(oracle.counts, {
      sends: 2,
      applied: 2,
      none: 0,
      unknown: 0,
      deliveries: 3,
      repeats: 0,
      effects: 3,
      deadLetters: 0,
      delayed: 0,
      transactions: 0,
    });
  });

  it("misses an applied send that is neither settled nor there", () => {
    const { oracle, problems } = newOracle();
    oracle.sendStarted(send(1));
    oracle.sendStarted(send(2));
    for (const id of ["p-1", "p-2"]) oracle.sendSettled(id, "applied");
    oracle.finish(new Map([["q", new Set(["p-2"])]]));
    assert.deepEqual(problems.length, 1);
    assert.match(problems[0] ?? "", /q lost p-1/);
  });

  it("does not miss one that was not durable, or whose settlement is unknown", () => {
    const { oracle, problems } = newOracle();
    oracle.sendStarted(send(1, { durable: false }));
    oracle.sendStarted(send(2));
    for (const id of ["p-1", "p-2"]) oracle.sendSettled(id, "applied");
    deliver(oracle, "q", "p-2");
    oracle.acknowledgeStarted("q", "p-2");
    oracle.acknowledgeSettled("q", "p-2", "unknown");
    oracle.finish(new Map());
    assert.deepEqual(problems, []);
  });

  it("sees what is delivered before its time, and the order of what is for the same time", () => {
    const { oracle, problems, pass } = newOracle();
    oracle.sendStarted(send(1, { deliverAt: 1000 }));
    oracle.sendStarted(send(2, { deliverAt: 1000 }));
    oracle.sendStarted(send(3));
    pass(999);
    deliver(oracle, "q", "p-3");
    assert.deepEqual(problems, []);
    deliver(oracle, "q", "p-2");
    assert.match(problems.at(-1) ?? "", /q delivered p-2 1 ms before its time/);
    pass(1);
    deliver(oracle, "q", "p-1");
    assert.match(problems.at(-1) ?? "", /q delivered p-1 after number 2/);
    assert.equal(problems.length, 2);
  });

  it("sees a refused message being delivered, whichever comes first", () => {
    for (const refusalFirst of [true, false]) {
      const { oracle, problems } = newOracle();
      oracle.sendStarted(send(1));
      if (refusalFirst) oracle.sendSettled("p-1", "none");
      deliver(oracle, "q", "p-1");
      if (!refusalFirst) oracle.sendSettled("p-1", "none");
      assert.match(problems.join(), /delivered p-1, which was refused/);
    }
  });

  it("sees a delivery after its settlement was confirmed, and a second effect", () => {
    const { oracle, problems } = newOracle();
    oracle.sendStarted(send(1));
    deliver(oracle, "q", "p-1");
    acknowledge(oracle, "q", "p-1");
    deliver(oracle, "q", "p-1", true);
    acknowledge(oracle, "q", "p-1");
    oracle.sendSettled("p-1", "applied");
    oracle.finish(new Map());
    assert.match(problems[0] ?? "", /2 confirmed effects/);
    assert.match(problems[1] ?? "", /again after its settlement was confirmed/);
  });

  it("sees a repeat that is not marked, and counts those that are", () => {
    const { oracle, problems } = newOracle();
    oracle.sendStarted(send(1));
    deliver(oracle, "q", "p-1");
    deliver(oracle, "q", "p-1", true);
    assert.deepEqual(problems, []);
    deliver(oracle, "q", "p-1");
    oracle.sendSettled("p-1", "applied");
    acknowledge(oracle, "q", "p-1");
    oracle.finish(new Map());
    assert.match(problems.join(), /without marking/);
    assert.equal(oracle.counts.repeats, 2);
  });

  it("forgives what came over a connection that was broken, unless it had an effect", () => {
    for (const settles of [false, true]) {
      const { oracle, problems } = newOracle();
      oracle.sendStarted(send(1));
      oracle.sendSettled("p-1", "applied");
      deliver(oracle, "q", "p-1", true, "good");
      acknowledge(oracle, "q", "p-1");
      deliver(oracle, "q", "p-1", false, "bad");
      if (settles) acknowledge(oracle, "q", "p-1");
      oracle.linkBroken("bad");
      oracle.finish(new Map());
      assert.equal(problems.length, settles ? 1 : 0);
    }
  });

  it("sees a queue with one consumer deliver out of order, and forgives one with several", () => {
    const { oracle, problems } = newOracle();
    for (const sequence of [1, 2]) oracle.sendStarted(send(sequence, { address: "topic" }));
    deliver(oracle, "s2", "p-2");
    deliver(oracle, "s2", "p-1");
    assert.deepEqual(problems, []);
    deliver(oracle, "s1", "p-2");
    deliver(oracle, "s1", "p-1");
    assert.match(problems.join(), /s1 delivered p-1 after number 2/);
  });

  it("sees an unknown send that reached some of its queues only", () => {
    const { oracle, problems } = newOracle();
    oracle.sendStarted(send(1, { address: "topic" }));
    oracle.sendSettled("p-1", "unknown");
    deliver(oracle, "s1", "p-1");
    acknowledge(oracle, "s1", "p-1");
    oracle.finish(new Map());
    assert.match(problems.join(), /p-1 is in s1 only, of s1,s2/);
  });

  it("sees a message come back from the dead, and settles those that stay there", () => {
    const { oracle, problems } = newOracle();
    oracle.sendStarted(send(1));
    oracle.sendSettled("p-1", "applied");
    deliver(oracle, "q", "p-1");
    oracle.delivered({ queue: "q", id: "p-1", redelivered: false, isDeadLetter: true, link: "l" });
    acknowledge(oracle, "q", "p-1");
    oracle.finish(new Map());
    assert.deepEqual(problems, []);
    deliver(oracle, "q", "p-1", true);
    oracle.finish(new Map());
    assert.match(problems.join(), /after it went to the dead letters/);
  });

  it("sees messages that nobody sent, and in queues where they do not belong", () => {
    const { oracle, problems } = newOracle();
    deliver(oracle, "q", "ghost");
    oracle.sendStarted(send(1));
    deliver(oracle, "s1", "p-1");
    assert.match(problems[0] ?? "", /which nobody sent/);
    assert.match(problems[1] ?? "", /which was sent to q/);
  });

  it("sees promises that never settle", () => {
    const { oracle, problems } = newOracle();
    oracle.sendStarted(send(1));
    oracle.sendStarted(send(2));
    oracle.sendSettled("p-2", "applied");
    deliver(oracle, "q", "p-2");
    oracle.acknowledgeStarted("q", "p-2");
    oracle.finish(new Map([["q", new Set(["p-2"])]]));
    assert.match(
      problems.join("\n"),
      /send of p-1 never settled\n.*acknowledgement of p-2 never settled/,
    );
  });

  it("holds a transaction together: rolled back, committed, or unknown but whole", () => {
    const outcomes = ["none", "applied", "unknown"] as const;
    for (const outcome of outcomes) {
      for (const sendArrives of [true, false]) {
        const { oracle, problems } = newOracle();
        oracle.sendStarted(send(1));
        oracle.sendSettled("p-1", "applied");
        deliver(oracle, "q", "p-1");
        oracle.acknowledgeStarted("q", "p-1", "t");
        oracle.sendStarted(send(2, { transaction: "t" }));
        oracle.transactionEnded("t", outcome);
        if (sendArrives) {
          deliver(oracle, "q", "p-2");
          acknowledge(oracle, "q", "p-2");
        }
        if (outcome === "none") {
          deliver(oracle, "q", "p-1", true);
          acknowledge(oracle, "q", "p-1");
        }
        oracle.finish(new Map());
        const whole = outcome === "none" ? !sendArrives : sendArrives;
        assert.equal(problems.length === 0, whole, `${outcome} ${sendArrives}: ${problems.join()}`);
      }
    }
  });
});
