import { packets } from "@everhold/wire";

import type { PacketProgram } from "../packet-comparison.ts";

/** Consumers, credits, browsers, forced deliveries, selectors: sections 3.4, 5.4 and 5.5. */
export const consumingPrograms: readonly PacketProgram[] = [
  {
    name: "a consumer is refused where its queue, filter or number does not allow it",
    build: (script) => {
      const session = script.session();
      session.consumer(0, "missing");
      session.consumer(0, "missing", { requiresResponse: false });
      session.createQueue("q", { maxConsumers: 1 });
      session.consumer(0, "q", { filter: "a =" });
      session.consumer(0, "q", { filter: "" });
      session.consumer(1, "q");
      session.consumer(2, "q", { browseOnly: true });
      session.consumer(3, "q", { requiresResponse: false });
      session.query("q");
      session.closeConsumer(0);
      session.consumer(4, "q");
      session.closeConsumer(2);
      session.closeConsumer(99);
      session.createQueue("none", { maxConsumers: 0 });
      session.consumer(5, "none");
      session.consumer(6, "none", { browseOnly: true });
      session.query("none");
    },
  },
  {
    name: "a consumer id that is taken",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.createQueue("r");
      session.consumer(0, "q");
      session.consumer(0, "r");
      session.query("q");
      session.query("r");
      session.publish("q", "one");
      session.publish("r", "two");
      session.credits(0, -1);
      session.start();
    },
  },
  {
    name: "a consumer names its queue in full",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { address: "a" });
      session.consume(0, "a::q");
      session.consume(1, "b::q");
      session.start();
      session.publish("a::q", "one");
      session.publish("a", "two");
      session.query("a::q");
      session.acknowledge(0, -1);
    },
  },
  {
    name: "a multicast address by its full name",
    build: (script) => {
      const session = script.session();
      session.createQueue("s1", { address: "a", routingType: 0 });
      session.createQueue("s2", { address: "a", routingType: 0, filter: "color='red'" });
      session.publish("a", "all", { routing: 0 });
      session.publish("a::s2", "one", { routing: 0 });
      session.publish("a::s2", "anycast", { routing: 1 });
      session.publish("a::s2", "unsaid", { routing: undefined });
      session.publish("a::missing", "lost", { routing: 0 });
      session.query("s1");
      session.query("s2");
      session.binding("a");
      session.query("missing");
    },
  },
  {
    name: "nothing is delivered without credit or before START",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      for (const text of ["one", "two", "three", "four", "five"]) session.publish("q", text);
      session.consumer(0, "q");
      session.start();
      session.credits(0, 1);
      session.credits(0, 1);
      session.credits(0, 100);
      session.credits(0, 100);
      session.credits(0, 300);
      session.credits(0, 0);
      session.credits(0, 1);
      session.query("q");
      session.credits(9, 100);
      session.packet(packets.sessionStop, {});
      session.credits(0, -1);
      session.start();
      session.publish("q", "six");
    },
  },
  {
    name: "credits of a slow consumer: one, the rest of the frame, and zero",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.publish("q", "one");
      session.publish("q", "two");
      session.consumer(0, "q");
      session.start();
      session.credits(0, 1);
      session.credits(0, 130);
      session.credits(0, 0);
      session.credits(0, 1);
      session.credits(0, 0);
      session.publish("q", "three");
      session.credits(0, 1);
      session.credits(0, -1);
      session.publish("q", "four");
      session.credits(0, 0);
      session.publish("q", "five");
    },
  },
  {
    name: "credits below minus one",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.consumer(0, "q");
      session.start();
      session.credits(0, -5);
      session.publish("q", "one");
      session.credits(0, 10);
      session.credits(0, -5);
      session.publish("q", "two");
    },
  },
  {
    name: "unlimited credit that is limited again",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.consume(0, "q");
      session.start();
      session.publish("q", "one");
      session.credits(0, 1);
      session.publish("q", "two");
      session.publish("q", "three");
      session.credits(0, 0);
      session.publish("q", "four");
    },
  },
  {
    name: "more credit after credit without a limit, in a transaction",
    build: (script) => {
      const session = script.session({ autoCommitSends: false, autoCommitAcks: false });
      session.createQueue("q");
      session.consume(0, "q");
      session.credits(0, 100);
      session.commit();
    },
  },
  {
    name: "a forced delivery is answered behind what can be delivered",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.consumer(0, "q");
      session.force(0, 0);
      session.start();
      session.force(0, 1);
      session.publish("q", "one");
      session.publish("q", "two");
      session.force(0, 2);
      session.credits(0, 1);
      session.force(0, 3);
      session.credits(0, -1);
      session.force(0, 4);
      session.packet(packets.sessionStop, {});
      session.publish("q", "three");
      session.force(0, 5);
      session.start();
      session.force(7, 6);
      script.together(() => {
        for (let sequence = 10; sequence < 14; sequence += 1) session.force(0, sequence);
      });
    },
  },
  {
    name: "a forced delivery of a consumer with a filter, and of a browser",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      const red = { properties: { color: { type: "string", value: "red" } } } as const;
      session.publish("q", "one");
      session.publish("q", "two", red);
      session.publish("q", "three");
      session.consume(0, "q", { filter: "color='red'" });
      session.force(0, 0);
      session.start();
      session.force(0, 1);
      session.consume(1, "q", { browseOnly: true });
      session.force(1, 0);
      session.force(1, 1);
    },
  },
  {
    name: "a browser sees what is there, in order, before START, and takes nothing",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      for (const text of ["one", "two", "three"]) session.publish("q", text);
      session.consumer(0, "q", { browseOnly: true });
      session.credits(0, 1);
      session.credits(0, -1);
      session.acknowledge(0, 0);
      session.acknowledgeOne(0, 1);
      session.query("q");
      session.publish("q", "four");
      session.closeConsumer(0);
      session.query("q");
      session.consume(1, "q");
      session.start();
    },
  },
  {
    name: "browsing while another consumes",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      for (const text of ["one", "two", "three", "four"]) session.publish("q", text);
      session.start();
      session.consumer(0, "q");
      session.credits(0, 200);
      session.consume(1, "q", { browseOnly: true });
      session.force(1, 0);
      session.acknowledge(0, -1);
      session.consume(2, "q", { browseOnly: true });
      session.force(2, 0);
      session.closeConsumer(0);
      session.consume(3, "q", { browseOnly: true });
      session.force(3, 0);
      session.force(1, 1);
    },
  },
  {
    name: "browsing with a filter, and with limited credit",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      for (let index = 0; index < 6; index += 1) {
        session.publish("q", `m${index}`, {
          properties: { parity: { type: "int", value: index % 2 } },
        });
      }
      session.consumer(0, "q", { browseOnly: true, filter: "parity=1" });
      session.credits(0, 1);
      session.force(0, 0);
      session.credits(0, 400);
      session.force(0, 1);
      session.credits(0, 1000);
      session.force(0, 2);
    },
  },
  {
    name: "messages are shared in turn between consumers of one priority",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      for (const id of [0, 1, 2]) session.consume(id, "q");
      session.start();
      for (let index = 0; index < 7; index += 1) session.publish("q", `m${index}`);
      session.closeConsumer(1);
      for (let index = 7; index < 11; index += 1) session.publish("q", `m${index}`);
    },
  },
  {
    name: "messages that wait are shared in turn when consumers come",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      for (let index = 0; index < 6; index += 1) session.publish("q", `m${index}`);
      session.consumer(0, "q");
      session.consumer(1, "q");
      session.credits(0, -1);
      session.credits(1, -1);
      session.start();
    },
  },
  {
    name: "a consumer of a higher priority comes first while it has credit",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.consume(0, "q");
      session.consumer(1, "q", { priority: 5 });
      session.credits(1, 300);
      session.consume(2, "q", { priority: -3 });
      session.start();
      for (let index = 0; index < 6; index += 1) session.publish("q", `m${index}`);
      session.closeConsumer(0);
      session.publish("q", "to the low one");
      session.credits(1, -1);
      session.publish("q", "to the high one");
    },
  },
  {
    name: "an exclusive queue has one consumer at a time",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { exclusive: true });
      session.consume(0, "q");
      session.consume(1, "q");
      session.start();
      for (const text of ["one", "two", "three"]) session.publish("q", text);
      session.closeConsumer(0);
      session.publish("q", "four");
      session.consume(2, "q", { priority: 5 });
      session.publish("q", "five");
    },
  },
  {
    name: "a queue that purges without consumers",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { purgeOnNoConsumers: true });
      session.publish("q", "before");
      session.query("q");
      session.consume(0, "q");
      session.start();
      session.publish("q", "one");
      session.publish("q", "two");
      session.acknowledge(0, 0);
      session.query("q");
      session.closeConsumer(0);
      session.query("q");
      session.publish("q", "after");
      session.query("q");
      session.consumer(1, "q", { browseOnly: true });
      session.closeConsumer(1);
      session.query("q");
    },
  },
  {
    name: "consumers with filters take what is theirs, over what is not",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.consume(0, "q", { filter: "n = 1" });
      session.consume(1, "q", { filter: "n = 2" });
      session.start();
      for (let index = 0; index < 9; index += 1) {
        session.publish("q", `m${index}`, { properties: { n: { type: "int", value: index % 3 } } });
      }
      session.query("q");
      session.consume(2, "q");
      session.closeConsumer(0);
    },
  },
  selectors("identifiers of the broker", [
    "AMQPriority = 7",
    "AMQPriority > 4",
    "AMQDurable = 'DURABLE'",
    "AMQDurable = 'NON_DURABLE'",
    "AMQTimestamp = 1700000000000",
    "AMQTimestamp > 0",
    "AMQExpiration = 0",
    "AMQExpiration > 0",
    "AMQSize > 10",
    "AMQSize < 10",
    "AMQGroupID = 'g'",
    "AMQGroupID IS NULL",
    "AMQUserID = 'ID:00010203-0405-1607-8809-0a0b0c0d0e0f'",
    "AMQUserID IS NULL",
    "AMQUserID LIKE 'ID:%'",
    "AMQUserID = '00010203-0405-1607-8809-0a0b0c0d0e0f'",
    "AMQAddress LIKE '%q'",
    "AMQAddress IS NOT NULL",
    "AMQUnknown IS NULL",
    "JMSPriority = 7",
    "_AMQ_ROUTING_TYPE = 1",
    "AMQType = 3",
  ]),
  selectors("numbers and types", [
    "int = 5",
    "int = 5.0",
    "int = '5'",
    "int = 5L",
    "long = 5",
    "long > 4.5",
    "double = 5",
    "double = 5.0",
    "double > 4",
    "float = 5",
    "float = 1.5",
    "byte = 5",
    "short = 5",
    "short + byte = 10",
    "int * 2 = 10",
    "int / 2 = 2.5",
    "int / 2 = 2",
    "int % 2 = 1",
    "-int = -5",
    "+int = 5",
    "int - 1 = 4",
    "int / 0 = 1",
    "double / 0 = 1",
    "int = 0x5",
    "int = 05",
    "double = 5e0",
    "int BETWEEN 5 AND 5",
    "int NOT BETWEEN 6 AND 7",
    "text BETWEEN 'a' AND 'z'",
    "text > 'a'",
    "text = 5",
    "text <> 5",
    "boolean = TRUE",
    "boolean = true",
    "boolean <> FALSE",
    "boolean",
    "NOT boolean",
    "boolean = 'true'",
    "char = 'c'",
    "char IS NOT NULL",
    "bytes IS NOT NULL",
    "nothing IS NULL",
    "missing IS NULL",
    "missing = 1",
    "missing <> 1",
    "NOT missing = 1",
    "NOT (missing = 1) OR int = 5",
    "missing = missing",
    "int IN (4, 5)",
    "int IN ('4', '5')",
    "text IN ('hello', 'x')",
    "text NOT IN ('x')",
    "missing NOT IN ('x')",
    "missing IN ('x')",
    "text LIKE 'h%'",
    "text LIKE 'h_llo'",
    "text LIKE 'H%'",
    "text NOT LIKE 'x%'",
    "missing NOT LIKE 'x%'",
    "percent LIKE '10!%' ESCAPE '!'",
    "int LIKE '5'",
    "1 = 1",
    "1 = 2",
    "TRUE",
    "FALSE",
    "int = long",
    "int = 5 AND missing = 1",
    "int = 5 OR missing = 1",
    "text = 'hello' and (int = 6 or long = 5)",
    "bigLong = 9007199254740993",
    "bigLong = 9007199254740992",
    "huge = 9223372036854775807",
    "int > 99999999999999999999",
    "text || 'x' = 'hellox'",
    "CONVERT_STRING_EXPRESSIONS:text = '5'",
    "digits = 5",
    "convert_string_expressions:digits = 5",
    "hyphenated_props:a-b = 1",
    "XPATH 'a/b'",
    "XQUERY 'a/b'",
    "$dollar = 1",
    "_under = 1",
    "a.b = 1",
    'text="hello"',
    "a-b = 1",
    "int != 5",
    "int == 5",
    "int=5--comment",
    "int = 5 /* comment */",
    "text='it''s'",
    "quoted='it''s'",
    "JMSType = 'x'",
    "JMSCorrelationID = 'c'",
  ]),
];

/** A user id whose bytes are those of a UUID, as Java clients make them. */
const uuidBytes = new Uint8Array([0, 1, 2, 3, 4, 5, 0x16, 7, 0x88, 9, 10, 11, 12, 13, 14, 15]);

/** Each selector says of three messages which of them it takes. */
function selectors(what: string, list: readonly string[]): PacketProgram {
  return {
    name: `selectors: ${what}`,
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.publish("q", "one", {
        priority: 7,
        userId: uuidBytes,
        properties: {
          int: { type: "int", value: 5 },
          long: { type: "long", value: 5 },
          double: { type: "double", value: 5 },
          float: { type: "float", value: 1.5 },
          byte: { type: "byte", value: 5 },
          short: { type: "short", value: 5 },
          boolean: { type: "boolean", value: true },
          char: { type: "char", value: "c" },
          bytes: { type: "bytes", value: new Uint8Array([1, 2]) },
          nothing: { type: "null", value: null },
          text: { type: "string", value: "hello" },
          percent: { type: "string", value: "10%" },
          quoted: { type: "string", value: "it's" },
          digits: { type: "string", value: "5" },
          bigLong: { type: "long", value: 9_007_199_254_740_993n },
          huge: { type: "long", value: 9_223_372_036_854_775_807n },
          $dollar: { type: "int", value: 1 },
          _under: { type: "int", value: 1 },
          "a.b": { type: "int", value: 1 },
          "a-b": { type: "int", value: 1 },
          _AMQ_GROUP_ID: { type: "string", value: "g" },
          JMSType: { type: "string", value: "x" },
          JMSCorrelationID: { type: "string", value: "c" },
        },
      });
      session.publish("q", "two", { durable: false, expiration: script.nowMs + 3_600_000 });
      session.publish("q", "three", { timestamp: 0, routing: undefined });
      session.query("q");
      for (const [id, filter] of list.entries()) {
        script.together(() => {
          session.consume(id, "q", { filter, browseOnly: true });
          session.force(id, 0);
        });
        session.closeConsumer(id);
      }
    },
  };
}
