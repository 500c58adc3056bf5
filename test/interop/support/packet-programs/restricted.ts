import { packets } from "@everhold/wire";

import type { PacketProgram } from "../packet-comparison.ts";
import type { PacketScript, SessionChoices, SessionScript } from "../packet-script.ts";

/** What {@link restrictedPrograms} need of Artemis' settings of all addresses. */
export const restrictedArtemis = [
  "<auto-delete-queues>true</auto-delete-queues>",
  "<auto-create-queues>false</auto-create-queues>",
  "<auto-create-addresses>false</auto-create-addresses>",
  "<max-delivery-attempts>3</max-delivery-attempts>",
  "<max-size-bytes>20000</max-size-bytes>",
  "<address-full-policy>FAIL</address-full-policy>",
].join("");

/** The same for Everhold. */
export const restrictedEverhold = {
  security: { users: { admin: { password: "admin" } } },
  addressSettings: {
    "#": {
      autoCreateQueues: false,
      autoCreateAddresses: false,
      maxDeliveryAttempts: 3,
      maxSizeBytes: 20_000,
      addressFullPolicy: "fail",
    },
  },
} as const;

const admin = { username: "admin", password: "admin" } as const;

function open(script: PacketScript, choices: SessionChoices = {}): SessionScript {
  return script.session({ ...admin, ...choices });
}

/** For brokers that ask who comes, create nothing by themselves, and have little room. */
export const restrictedPrograms: readonly PacketProgram[] = [
  {
    name: "a wrong login is refused, and the connection stays",
    build: (script) => {
      const connection = script.connect();
      connection.session({ username: "admin", password: "wrong" });
      connection.session({ username: "nobody", password: "admin" });
      connection.session({ username: null, password: null });
      connection.session({ ...admin, isV2: true });
    },
  },
  {
    name: "what may not be created by itself is not",
    build: (script) => {
      const session = open(script);
      session.query("q");
      session.binding("q");
      session.publish("q", "refused");
      session.publish("q", "refused", { routing: 0 });
      session.publish("q", "refused", { routing: undefined });
      session.publish("q", "refused", { requiresResponse: false });
      session.publish("a::q", "refused");
      session.consumer(0, "q");
      session.query("q");
      session.binding("q");
    },
  },
  {
    name: "a client may still create",
    build: (script) => {
      const session = open(script);
      session.createQueue("q", { address: "missing" });
      session.query("q");
      session.createAddress("a", [0, 1]);
      session.createQueue("r", { address: "a" });
      session.publish("a", "one");
      session.query("r");
      session.createQueue("t", { temporary: true, durable: false });
      session.query("t");
      session.createQueue("auto", { address: "a", autoCreated: true });
      session.query("auto");
      session.publish("a::missing", "refused");
    },
  },
  {
    name: "sends that are refused in a transaction",
    build: (script) => {
      const session = open(script, { autoCommitSends: false, autoCommitAcks: false });
      session.publish("missing", "refused", { requiresResponse: false });
      session.commit();
    },
  },
  {
    name: "a message is dead after three attempts",
    build: (script) => {
      const session = open(script, { autoCommitSends: false, autoCommitAcks: false });
      session.createAddress("a", [1]);
      session.createQueue("q", { address: "a" });
      open(script).publish("a", "poison");
      session.consume(0, "q");
      session.start();
      for (let attempt = 0; attempt < 3; attempt += 1) {
        session.acknowledge(0, -1);
        session.rollback();
      }
      session.query("q");
    },
  },
  {
    name: "only what was delivered counts as an attempt",
    build: (script) => {
      const session = open(script, { autoCommitSends: false, autoCommitAcks: false });
      session.createAddress("a", [1]);
      session.createQueue("q", { address: "a" });
      const publisher = open(script);
      publisher.publish("a", "one");
      publisher.publish("a", "two");
      session.consume(0, "q");
      session.start();
      for (let attempt = 0; attempt < 4; attempt += 1) session.rollback(attempt % 2 === 0);
      session.query("q");
    },
  },
  {
    name: "a full address refuses credits and sends",
    build: (script) => {
      const session = open(script);
      session.createAddress("a", [1]);
      session.createQueue("q", { address: "a" });
      const body = new Uint8Array(15_000);
      session.publish("a", "", { body });
      session.packet(packets.producerRequestCredits, {
        credits: 1000,
        address: script.name("a"),
      });
      session.publish("a", "", { body });
      session.publish("a", "", { body });
      session.publish("a", "small");
      session.publish("a", "small", { requiresResponse: false });
      session.packet(packets.producerRequestCredits, {
        credits: 1000,
        address: script.name("a"),
      });
      session.query("q");
      session.consume(0, "q");
      session.start();
      session.acknowledge(0, -1);
      session.publish("a", "small");
    },
  },
];
