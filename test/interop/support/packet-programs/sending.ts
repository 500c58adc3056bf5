import { packets, type TypedValue } from "@everhold/wire";

import type { PacketProgram } from "../packet-comparison.ts";

const transacted = { autoCommitSends: false, autoCommitAcks: false } as const;

function duplicateId(id: string): { properties: Readonly<Record<string, TypedValue>> } {
  return { properties: { _AMQ_DUPL_ID: { type: "string", value: id } } };
}

/** Sends, credits, duplicate ids and large messages: sections 3.5, 4.7, 5.3 and 7.1. */
export const sendingPrograms: readonly PacketProgram[] = [
  {
    name: "a send is answered where it asks for it",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.publish("q", "one");
      session.publish("q", "two", { requiresResponse: false });
      session.publish("q", "three", { durable: false });
      session.publish("q", "four", { durable: false, requiresResponse: false });
      session.query("q");
    },
  },
  {
    name: "a message without an address goes to the session's default one",
    build: (script) => {
      const session = script.session({ defaultAddress: script.name("q") });
      session.createQueue("q");
      session.publish(null, "one");
      session.query("q");
      const other = script.session();
      other.publish(null, "refused");
      other.publish("q", "two");
      other.publish(null, "three");
      other.publish("r", "elsewhere");
      other.publish(null, "four");
      other.query("q");
      other.query("r");
      other.consume(0, "q");
      other.start();
    },
  },
  {
    name: "a message without an address in a transaction",
    build: (script) => {
      const session = script.session(transacted);
      session.publish(null, "refused");
      session.commit();
      session.publish(null, "refused", { requiresResponse: false });
      session.commit();
    },
  },
  ...([1, 0, undefined] as const).map(
    (routing) =>
      ({
        name: `a send with routing type ${routing ?? "unsaid"} to an address that does not exist`,
        build: (script) => {
          const session = script.session();
          session.publish("a", "one", { routing });
          session.binding("a");
          session.query("a");
          session.publish("a", "two", { routing });
          session.query("a");
          session.publish("b::q", "three", { routing });
          session.binding("b");
          session.query("q");
          session.publish("b::q", "four", { routing, requiresResponse: false });
          session.query("q");
        },
      }) satisfies PacketProgram,
  ),
  ...([1, 0, undefined] as const).flatMap((routing) =>
    ([[0], [1], [0, 1]] as const).map(
      (types) =>
        ({
          name: `a send with routing type ${routing ?? "unsaid"} to an address of ${types.join(" and ")}`,
          build: (script) => {
            const session = script.session();
            session.createAddress("a", types);
            session.publish("a", "without a queue", { routing });
            session.binding("a");
            for (const type of types) {
              session.createQueue(`x${type}`, { address: "a", routingType: type });
              session.createQueue(`y${type}`, { address: "a", routingType: type });
            }
            session.publish("a", "one", { routing });
            session.publish("a", "two", { routing });
            session.publish("a::x1", "three", { routing });
            session.binding("a");
            for (const name of ["a", "x0", "y0", "x1", "y1"]) session.query(name);
          },
        }) satisfies PacketProgram,
    ),
  ),
  {
    name: "a routing type that is no routing type",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.publish("q", "one", { routing: 5 });
      session.publish("q", "two", {
        routing: undefined,
        properties: { _AMQ_ROUTING_TYPE: { type: "int", value: 1 } },
      });
      session.query("q");
      session.consume(0, "q");
      session.start();
    },
  },
  {
    name: "anycast shares messages between queues, those with consumers first",
    build: (script) => {
      const session = script.session();
      for (const name of ["x", "y", "z"]) session.createQueue(name, { address: "a" });
      for (let index = 0; index < 5; index += 1) session.publish("a", `m${index}`);
      for (const name of ["x", "y", "z"]) session.query(name);
      session.consume(0, "y");
      session.start();
      for (let index = 5; index < 8; index += 1) session.publish("a", `m${index}`);
      for (const name of ["x", "y", "z"]) session.query(name);
    },
  },
  {
    name: "a queue that is created while a transaction holds messages for its address",
    build: (script) => {
      const session = script.session(transacted);
      session.createQueue("x", { address: "a", routingType: 0 });
      session.publish("a", "one", { routing: 0 });
      session.createQueue("y", { address: "a", routingType: 0 });
      session.commit();
      session.query("x");
      session.query("y");
    },
  },
  {
    name: "headers and properties arrive as they were sent",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.consume(0, "q");
      session.start();
      session.publish("q", "all", {
        userId: new Uint8Array(16).fill(3),
        timestamp: 5,
        priority: 2,
        type: 5,
        expiration: script.nowMs + 100_000_000,
        properties: {
          "": { type: "int", value: 1 },
          string: { type: "string", value: "é€😀" },
          null: { type: "null", value: null },
          bytes: { type: "bytes", value: new Uint8Array([0, 255]) },
          long: { type: "long", value: -9_223_372_036_854_775_808n },
          char: { type: "char", value: "\uffff" },
          nan: { type: "double", value: Number.NaN },
          float: { type: "float", value: -0 },
        },
      });
      session.publish("q", "bare", { routing: undefined, timestamp: 0, type: 0 });
      for (const type of [0, 1, 2, 4, 6, 7, 8, 99]) session.publish("q", `type ${type}`, { type });
      session.publish("q", "", { body: new Uint8Array(0) });
      session.publish("q", "", { body: new Uint8Array(4) });
      session.publish("q", "", { body: new Uint8Array(200_000).fill(9) });
      session.publish("q", "expired long ago", { expiration: 1 });
      session.publish("q", "expiration below zero", { expiration: -1 });
      session.publish("q", "id", { messageId: 12_345 });
      session.acknowledge(0, -1);
    },
  },
  {
    name: "properties that only brokers set",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.consume(0, "q");
      session.start();
      const names = ["_AMQ_VALIDATED_USER", "_AMQ_ORIG_ADDRESS", "_AMQ_ORIG_QUEUE"];
      for (const name of [...names, "_AMQ_ROUTE_TO", "__AMQ_CID", "_AMQ_INGRESS_TIMESTAMP"]) {
        session.publish("q", name, { properties: { [name]: { type: "string", value: "me" } } });
      }
      for (const name of ["_AMQ_ROUTE_TOx", "_AMQ_ACK_ROUTE_TOx", "_AMQ_SCALEDOWN_TO"]) {
        session.publish("q", name, {
          properties: { [name]: { type: "bytes", value: new Uint8Array(8) } },
        });
      }
      session.publish("q", "marker", {
        properties: { "_hornetq.forced.delivery.seq": { type: "long", value: 5 } },
      });
      session.publish("q", "large size", {
        properties: { _AMQ_LARGE_SIZE: { type: "long", value: 5 } },
      });
    },
  },
  {
    name: "the same id reaches all queues of an address",
    build: (script) => {
      const session = script.session();
      session.createQueue("x", { address: "a", routingType: 0 });
      session.createQueue("y", { address: "a", routingType: 0 });
      session.consume(0, "x");
      session.consume(1, "y");
      session.start();
      session.publish("a", "one", { routing: 0 });
      session.closeConsumer(0);
      session.consume(2, "x");
    },
  },
  {
    name: "messages of both delivery modes, without waiting in between",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.consume(0, "q");
      session.start();
      script.together(() => {
        for (let index = 0; index < 6; index += 1) {
          session.publish("q", `m${index}`, { durable: index % 2 === 0 });
        }
      });
    },
  },
  {
    name: "a duplicate id outside a transaction drops the message and says nothing",
    build: (script) => {
      const session = script.session();
      const other = script.session();
      session.createQueue("q");
      session.createQueue("r");
      session.publish("q", "one", duplicateId("x"));
      session.publish("q", "two", duplicateId("x"));
      other.publish("q", "three", duplicateId("x"));
      session.publish("r", "elsewhere", duplicateId("x"));
      session.publish("q::q", "in full", duplicateId("x"));
      session.publish("q", "bytes", {
        properties: { _AMQ_DUPL_ID: { type: "bytes", value: new Uint8Array([0x78, 0]) } },
      });
      session.publish("q", "number", { properties: { _AMQ_DUPL_ID: { type: "int", value: 4 } } });
      session.publish("q", "number", { properties: { _AMQ_DUPL_ID: { type: "int", value: 4 } } });
      session.publish("q", "empty", duplicateId(""));
      session.publish("q", "empty", duplicateId(""));
      session.publish("q", "not durable", { ...duplicateId("y"), durable: false });
      session.publish("q", "not durable", { ...duplicateId("y"), durable: false });
      session.query("q");
      session.query("r");
    },
  },
  {
    name: "the full name of a multicast queue, after its address",
    build: (script) => {
      const session = script.session();
      session.createQueue("x", { address: "a", routingType: 0 });
      session.createQueue("y", { address: "a", routingType: 0 });
      session.publish("a", "one", { routing: 0 });
      session.publish("a::x", "two", { routing: 0 });
      session.publish("a", "three", { routing: 0 });
      session.query("x");
      session.query("y");
    },
  },
  {
    name: "a duplicate id to an address without queues counts",
    build: (script) => {
      const session = script.session();
      session.createAddress("a", [0]);
      session.publish("a", "nobody", { ...duplicateId("x"), routing: 0 });
      session.createQueue("q", { address: "a", routingType: 0 });
      session.publish("a", "somebody", {
        routing: 0,
        properties: { ...duplicateId("x").properties },
      });
      session.query("q");
    },
  },
  {
    name: "a duplicate id inside a transaction spoils it",
    build: (script) => {
      const session = script.session(transacted);
      session.createQueue("q");
      session.publish("q", "one", duplicateId("x"));
      session.commit();
      session.publish("q", "two", duplicateId("y"));
      session.publish("q", "again", duplicateId("x"));
      session.query("q");
      session.commit();
      session.query("q");
      session.publish("q", "three", duplicateId("y"));
      session.commit();
      session.query("q");
    },
  },
  {
    name: "the same duplicate id twice in one transaction",
    build: (script) => {
      const session = script.session(transacted);
      session.createQueue("q");
      session.publish("q", "one", duplicateId("x"));
      session.publish("q", "two", duplicateId("x"));
      session.commit();
      session.query("q");
      session.publish("q", "three", duplicateId("x"));
      session.commit();
      session.query("q");
    },
  },
  {
    name: "a duplicate id of a rolled back transaction may be used again",
    build: (script) => {
      const session = script.session(transacted);
      session.createQueue("q");
      session.publish("q", "one", duplicateId("x"));
      session.rollback();
      session.publish("q", "two", duplicateId("x"));
      session.commit();
      session.query("q");
    },
  },
  {
    name: "a spoilt transaction may be rolled back, and the next one is fine",
    build: (script) => {
      const session = script.session(transacted);
      session.createQueue("q");
      session.publish("q", "one", duplicateId("x"));
      session.commit();
      session.publish("q", "again", duplicateId("x"));
      session.rollback();
      session.publish("q", "two");
      session.commit();
      session.query("q");
    },
  },
  {
    name: "credits are granted as they are asked for",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      for (const [credits, address] of [
        [32_768, "q"],
        [102_431, "q"],
        [1, "missing"],
        [0, "q"],
        [-5, "q"],
        [2_147_483_647, "a::q"],
      ] as const) {
        session.packet(packets.producerRequestCredits, { credits, address: script.name(address) });
      }
      session.binding("missing");
    },
  },
  {
    name: "producers are created and removed in silence",
    build: (script) => {
      const session = script.session();
      session.packet(packets.createProducer, { producerId: 1, address: script.name("a") });
      session.packet(packets.createProducer, { producerId: 1, address: null });
      session.packet(packets.createProducer, { producerId: 2, address: null });
      session.packet(packets.removeProducer, { producerId: 1 });
      session.packet(packets.removeProducer, { producerId: 9 });
      session.binding("a");
    },
  },
  {
    name: "a large message arrives whole",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.sendLarge("q");
      session.sendPart(new Uint8Array(100_000).fill(1));
      session.sendPart(new Uint8Array(100_000).fill(2), undefined, false);
      session.query("q");
      session.sendPart(new Uint8Array(50_000).fill(3), 250_000);
      session.query("q");
      session.consume(0, "q");
      session.start();
      session.acknowledge(0, 0);
      session.query("q");
    },
  },
  {
    name: "large messages whose last part is empty, and that have nothing but it",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.sendLarge("q");
      session.sendPart(new Uint8Array(70_000).fill(1));
      session.sendPart(new Uint8Array(0), 70_000);
      session.sendLarge("q", { durable: false });
      session.sendPart(new Uint8Array(0), 0);
      session.consume(0, "q");
      session.start();
      session.acknowledge(0, -1);
      session.query("q");
    },
  },
  {
    name: "a large message that is given up, and one that is replaced",
    build: (script) => {
      const first = script.session();
      first.createQueue("q");
      first.sendLarge("q");
      first.sendPart(new Uint8Array(1000));
      first.close();
      const session = script.session();
      session.query("q");
      session.sendLarge("q");
      session.sendPart(new Uint8Array(1000).fill(1));
      session.sendLarge("q");
      session.sendPart(new Uint8Array(500).fill(2), 500);
      session.query("q");
      session.consume(0, "q");
      session.start();
    },
  },
  {
    name: "a part of a large message without headers",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.sendPart(new Uint8Array(10));
      session.query("q");
    },
  },
  {
    name: "a last part of a large message without headers",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.sendPart(new Uint8Array(10), 10);
      session.query("q");
    },
  },
  {
    name: "large messages in a transaction, and with a duplicate id",
    build: (script) => {
      const session = script.session(transacted);
      session.createQueue("q");
      session.sendLarge("q", duplicateId("x"));
      session.sendPart(new Uint8Array(60_000).fill(1), 60_000);
      session.query("q");
      session.commit();
      session.query("q");
      session.sendLarge("q", duplicateId("x"));
      session.sendPart(new Uint8Array(60_000).fill(1), 60_000);
      session.commit();
      session.query("q");
      session.sendLarge("q");
      session.sendPart(new Uint8Array(60_000).fill(2), 60_000);
      session.rollback();
      session.query("q");
    },
  },
  {
    name: "a large message to an address that does not exist, and to several queues",
    build: (script) => {
      const session = script.session();
      session.sendLarge("new");
      session.sendPart(new Uint8Array(2000).fill(1), 2000);
      session.query("new");
      session.createQueue("x", { address: "a", routingType: 0 });
      session.createQueue("y", { address: "a", routingType: 0 });
      session.sendLarge("a", { routing: 0 });
      session.sendPart(new Uint8Array(150_000).fill(1), 150_000);
      session.consume(0, "x");
      session.consume(1, "y");
      session.start();
    },
  },
  {
    name: "a browser and a consumer with a filter find large messages",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.sendLarge("q", { properties: { n: { type: "int", value: 1 } }, priority: 7 });
      session.sendPart(new Uint8Array(150_000).fill(1), 150_000);
      session.publish("q", "small");
      session.consume(0, "q", { browseOnly: true });
      session.force(0, 0);
      session.consume(1, "q", { filter: "n = 1 AND AMQPriority = 7" });
      session.start();
      session.rollback();
    },
  },
];
