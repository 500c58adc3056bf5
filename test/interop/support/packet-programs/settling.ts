import type { PacketProgram } from "../packet-comparison.ts";
import type { PacketScript, SessionChoices, SessionScript } from "../packet-script.ts";
import { packets } from "@everhold/wire";

/** A session with messages `m0`, `m1` … delivered to consumer 0. */
function delivered(
  script: PacketScript,
  count: number,
  choices: SessionChoices = {},
): SessionScript {
  const session = script.session(choices);
  session.createQueue("q");
  const publisher = script.session();
  for (let index = 0; index < count; index += 1) publisher.publish("q", `m${index}`);
  session.consume(0, "q");
  session.start();
  return session;
}

const transacted = { autoCommitSends: false, autoCommitAcks: false } as const;
const clientAcknowledge = { autoCommitAcks: false } as const;

/** Acknowledgements, rollbacks, closing, expiry and attempts: sections 5.6, 5.9 and 7. */
export const settlingPrograms: readonly PacketProgram[] = [
  {
    name: "a cumulative acknowledgement covers what came before, twice is an error",
    build: (script) => {
      const session = delivered(script, 5);
      session.acknowledge(0, 1);
      session.query("q");
      session.acknowledge(0, 1);
      session.acknowledge(0, 0);
      session.acknowledge(0, 99);
      session.acknowledge(0, 99, false);
      session.acknowledge(7, 0);
      session.query("q");
      session.acknowledge(0, 4);
      session.query("q");
      session.acknowledge(0, 4);
    },
  },
  {
    name: "an individual acknowledgement covers one message, twice is an error",
    build: (script) => {
      const session = delivered(script, 5);
      session.acknowledgeOne(0, 2);
      session.query("q");
      session.acknowledgeOne(0, 2);
      session.acknowledgeOne(0, 99);
      session.acknowledgeOne(7, 0);
      session.acknowledge(0, 3);
      session.query("q");
      session.closeConsumer(0);
      session.consume(1, "q");
      session.query("q");
    },
  },
  {
    name: "a cumulative acknowledgement of a message that was acknowledged alone",
    build: (script) => {
      const session = delivered(script, 4);
      session.acknowledgeOne(0, 1);
      session.acknowledge(0, 1);
      session.query("q");
      session.closeConsumer(0);
      session.consume(1, "q");
    },
  },
  {
    name: "an acknowledgement after the consumer was closed",
    build: (script) => {
      const session = delivered(script, 2);
      session.closeConsumer(0);
      session.acknowledge(0, 0);
      session.acknowledge(0, 0, false);
      session.acknowledgeOne(0, 1);
      session.query("q");
      session.consume(1, "q");
    },
  },
  {
    name: "a wrong acknowledgement spoils the transaction",
    build: (script) => {
      const session = delivered(script, 3, transacted);
      session.acknowledge(0, 0);
      session.acknowledge(0, 99);
      session.commit();
      session.query("q");
      session.commit();
      session.acknowledge(0, -1);
      session.commit();
      session.query("q");
    },
  },
  {
    name: "a wrong acknowledgement without an answer spoils the transaction as well",
    build: (script) => {
      const session = delivered(script, 2, transacted);
      session.acknowledgeOne(0, 99, false);
      session.publish("q", "sent", { requiresResponse: false });
      session.commit();
      session.query("q");
    },
  },
  {
    name: "an acknowledgement for an unknown consumer in a transaction",
    build: (script) => {
      const session = delivered(script, 2, transacted);
      session.acknowledge(5, 0);
      session.commit();
      session.query("q");
    },
  },
  ...[false, true].map(
    (considerLast) =>
      ({
        name: `a rollback returns what was acknowledged and what was delivered, last one ${considerLast ? "" : "not "}counted`,
        build: (script) => {
          const session = delivered(script, 4, transacted);
          session.acknowledge(0, 1);
          session.packet(packets.sessionStop, {});
          session.rollback(considerLast);
          session.query("q");
          session.start();
          session.acknowledge(0, -3);
          session.packet(packets.sessionStop, {});
          session.rollback(considerLast);
          session.start();
          session.query("q");
          session.acknowledge(0, -1);
          session.commit();
          session.query("q");
        },
      }) satisfies PacketProgram,
  ),
  ...[false, true].map(
    (considerLast) =>
      ({
        name: `a rollback of client acknowledgement, last one ${considerLast ? "" : "not "}counted`,
        build: (script) => {
          const session = delivered(script, 3, clientAcknowledge);
          session.packet(packets.sessionStop, {});
          session.rollback(considerLast);
          session.start();
          session.acknowledge(0, -2);
          session.commit();
          session.packet(packets.sessionStop, {});
          session.rollback(considerLast);
          session.start();
        },
      }) satisfies PacketProgram,
  ),
  {
    name: "a rollback without STOP delivers again at once",
    build: (script) => {
      const session = delivered(script, 3, transacted);
      session.acknowledge(0, 0);
      session.rollback();
      session.acknowledge(0, -1);
      session.commit();
      session.query("q");
    },
  },
  {
    name: "a rollback with two consumers keeps the order",
    build: (script) => {
      const session = script.session(transacted);
      session.createQueue("q");
      const publisher = script.session();
      for (let index = 0; index < 6; index += 1) publisher.publish("q", `m${index}`);
      session.consume(0, "q");
      session.consume(1, "q");
      session.start();
      session.acknowledge(0, 1);
      session.acknowledge(1, 0);
      session.packet(packets.sessionStop, {});
      session.rollback(true);
      session.closeConsumer(0);
      session.closeConsumer(1);
      session.consume(2, "q");
      session.start();
    },
  },
  {
    name: "a rollback on a session that commits by itself",
    build: (script) => {
      const session = delivered(script, 3);
      session.acknowledge(0, 0);
      session.rollback();
      session.query("q");
      session.rollback(true);
      session.commit();
    },
  },
  {
    name: "closing a consumer returns what it held in front, uncounted",
    build: (script) => {
      const session = delivered(script, 4);
      session.acknowledge(0, 0);
      session.closeConsumer(0);
      session.query("q");
      session.publish("q", "last");
      session.consume(1, "q");
    },
  },
  {
    name: "closing a consumer with acknowledgements in a transaction",
    build: (script) => {
      const session = delivered(script, 4, transacted);
      session.acknowledge(0, 1);
      session.closeConsumer(0);
      session.query("q");
      session.consume(1, "q");
      session.rollback();
      session.query("q");
      session.acknowledge(1, -1);
      session.commit();
      session.query("q");
    },
  },
  {
    name: "closing a session returns what it held, uncounted",
    build: (script) => {
      const session = delivered(script, 3, transacted);
      const other = script.session();
      session.acknowledge(0, 0);
      session.publish("q", "dropped", { requiresResponse: false });
      session.close();
      other.query("q");
      other.consume(0, "q");
      other.start();
    },
  },
  {
    name: "losing the connection returns what it held, counted",
    build: (script) => {
      const session = delivered(script, 3, transacted);
      const other = script.session();
      session.acknowledge(0, 0);
      session.connection.drop();
      other.query("q");
      other.consume(0, "q");
      other.start();
      other.acknowledge(0, 1);
      other.query("q");
    },
  },
  {
    name: "losing the connection of a session that commits by itself",
    build: (script) => {
      const session = delivered(script, 3);
      const other = script.session();
      session.acknowledge(0, 0);
      session.connection.drop();
      other.query("q");
      other.consume(0, "q");
      other.start();
    },
  },
  {
    name: "COMMIT is always answered, in every kind of session",
    build: (script) => {
      for (const choices of [{}, transacted, clientAcknowledge, { autoCommitSends: false }]) {
        const session = script.session(choices);
        session.commit();
        session.rollback();
        session.packet(packets.commit, { correlationId: null });
      }
    },
  },
  {
    name: "what was sent in a transaction appears at COMMIT",
    build: (script) => {
      const session = script.session(transacted);
      const other = script.session();
      session.createQueue("q");
      session.publish("q", "one");
      session.publish("q", "two", { requiresResponse: false });
      other.query("q");
      session.rollback();
      other.query("q");
      session.publish("q", "three");
      session.publish("q", "four", { durable: false });
      session.commit();
      other.query("q");
      other.consume(0, "q");
      other.start();
    },
  },
  {
    name: "acknowledgements in a transaction count as in delivery until COMMIT",
    build: (script) => {
      const session = delivered(script, 3, transacted);
      session.acknowledge(0, 1);
      session.query("q");
      session.commit();
      session.query("q");
      session.acknowledge(0, 2);
      session.acknowledge(0, 2);
    },
  },
  {
    name: "autoCommitSends without autoCommitAcks, and the other way round",
    build: (script) => {
      const one = script.session({ autoCommitAcks: false });
      const two = script.session({ autoCommitSends: false });
      one.createQueue("q");
      one.publish("q", "one");
      two.publish("q", "two");
      one.query("q");
      two.commit();
      one.query("q");
      two.consume(0, "q");
      two.start();
      two.acknowledge(0, -1);
      two.query("q");
      two.rollback();
      two.query("q");
    },
  },
  {
    name: "a message is dead after ten attempts",
    build: (script) => {
      const session = script.session(transacted);
      session.createQueue("q");
      script.session().publish("q", "poison", {
        properties: { program: { type: "string", value: script.name("dead") } },
      });
      session.consume(0, "q");
      session.start();
      for (let attempt = 0; attempt < 10; attempt += 1) {
        session.acknowledge(0, -1);
        session.rollback();
      }
      session.query("q");
      const other = script.session();
      other.consume(0, "=DLQ", { filter: `program='${script.name("dead")}'` });
      other.start();
      other.acknowledge(0, 0);
    },
  },
  {
    name: "a message that came back counts its attempts",
    build: (script) => {
      const session = script.session(transacted);
      session.createQueue("q");
      script.session().publish("q", "one");
      session.consume(0, "q");
      session.start();
      session.rollback();
      session.rollback(true);
      session.acknowledge(0, -1);
      session.rollback();
      session.acknowledge(0, -1);
      session.commit();
    },
  },
  {
    name: "a message that expired goes to the expiry address and says where it came from",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      const properties = { program: { type: "string", value: script.name("gone") } } as const;
      session.publish("q", "past", { expiration: script.nowMs - 1000, properties });
      session.publish("q", "soon", { expiration: script.nowMs + 1500, properties });
      session.publish("q", "never", { properties });
      session.query("q");
      script.wait(2500);
      session.consume(0, "q");
      session.start();
      session.consume(1, "=ExpiryQueue", { filter: `program='${script.name("gone")}'` });
      session.query("q");
      session.acknowledge(1, -1);
    },
  },
  {
    name: "a browser and messages that have expired",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.publish("q", "past", { expiration: script.nowMs - 5000 });
      session.publish("q", "never");
      session.consume(0, "q", { browseOnly: true });
    },
  },
  {
    name: "a client says that a message had expired",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      const properties = { program: { type: "string", value: script.name("told") } } as const;
      session.publish("q", "one", { properties });
      session.publish("q", "two", { properties, durable: false });
      session.consume(0, "q");
      session.start();
      session.expired(0, 0);
      session.query("q");
      session.expired(0, 99);
      session.expired(5, 0);
      session.expired(0, 1);
      session.acknowledge(0, 0);
      session.consume(1, "=ExpiryQueue", { filter: `program='${script.name("told")}'` });
      session.query("q");
    },
  },
  {
    name: "pre-acknowledgement settles before it delivers",
    build: (script) => {
      const session = delivered(script, 3, { preAcknowledge: true, autoCommitAcks: false });
      session.query("q");
      session.acknowledge(0, 0);
      session.acknowledgeOne(0, 1);
      session.rollback();
      session.commit();
      session.closeConsumer(0);
      session.query("q");
    },
  },
  {
    name: "priorities decide the order, out of range ones too",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      for (const priority of [4, 0, 9, 5, 4, 9, 1, 10, 100, 127, -1, -128]) {
        session.publish("q", `p${priority}`, { priority });
      }
      session.query("q");
      session.consume(0, "q");
      session.start();
    },
  },
  {
    name: "messages of other priorities are acknowledged up to a delivery, not up to an id",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      for (const priority of [1, 9, 5, 3]) session.publish("q", `p${priority}`, { priority });
      session.consume(0, "q");
      session.start();
      session.acknowledge(0, 1);
      session.query("q");
      session.closeConsumer(0);
      session.consume(1, "q");
    },
  },
  {
    name: "returned messages come before newer ones of their priority",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      for (const priority of [4, 9, 4]) session.publish("q", `first ${priority}`, { priority });
      session.consume(0, "q");
      session.start();
      session.closeConsumer(0);
      for (const priority of [4, 9]) session.publish("q", `second ${priority}`, { priority });
      session.consume(1, "q");
    },
  },
];
