import { packets } from "@everhold/wire";

import type { PacketProgram } from "../packet-comparison.ts";

const versions = [129, 130, 131, 132, 133, 134, 135, 136] as const;

/** Addresses, queues, queries and metadata: sections 3.3 and 9 of the protocol. */
export const administrationPrograms: readonly PacketProgram[] = [
  ...versions.map(
    (version) =>
      ({
        name: `a client of version ${version} finds the layouts that it knows`,
        build: (script) => {
          const session = script.session({ version });
          session.binding("q");
          session.query("q");
          session.createAddress("q", [1]);
          session.createQueue("q");
          session.binding("q");
          session.query("q");
          session.publish("q", "one");
          session.publish("nowhere", "two", { requiresResponse: false });
          session.consume(0, "q", { priority: 3 });
          session.start();
          session.acknowledge(0, -1);
          session.query("q");
          session.deleteQueue("unknown");
          session.commit();
          session.packet(packets.createProducer, { producerId: 1, address: script.name("q") });
          session.packet(packets.removeProducer, { producerId: 1 });
          session.sendLarge("q");
          session.sendPart(new Uint8Array(40));
          session.sendPart(new Uint8Array(20).fill(7), 60);
          session.acknowledge(0, -1);
          session.closeConsumer(0);
          session.close();
        },
      }) satisfies PacketProgram,
  ),
  {
    name: "queries answer about queues and addresses that are missing, by plain and by full name",
    build: (script) => {
      const session = script.session();
      for (const name of ["q", "a::q", "a::a"]) {
        session.query(name);
        session.binding(name);
      }
      session.createAddress("a", [1]);
      session.query("a");
      session.query("a::q");
      session.query("b::q");
      session.binding("a");
      session.binding("a::q");
      session.createQueue("q", { address: "a" });
      session.query("q");
      session.query("a::q");
      session.query("b::q");
      session.binding("a");
      session.binding("a::q");
      session.binding("a::other");
      session.binding("q");
    },
  },
  {
    name: "CREATE_ADDRESS creates an address or adds routing types to it",
    build: (script) => {
      const session = script.session();
      session.createAddress("a", [0]);
      session.binding("a");
      session.createAddress("a", [0]);
      session.createAddress("a", [1]);
      session.binding("a");
      session.createAddress("a", [0]);
      session.binding("a");
      session.createAddress("b", [0, 1]);
      session.binding("b");
      session.createAddress("c", []);
      session.binding("c");
      session.createAddress("d", [1], { autoCreated: true });
      session.binding("d");
      session.createAddress("e", [1], { requiresResponse: false });
      session.binding("e");
      session.createAddress("f::q", [1]);
      session.binding("f");
      session.binding("f::q");
    },
  },
  {
    name: "CREATE_ADDRESS without a wish for an answer gets none, also when nothing changes",
    build: (script) => {
      const session = script.session();
      session.createAddress("a", [1], { requiresResponse: false });
      session.createAddress("a", [1], { requiresResponse: false });
      session.createAddress("a", [0], { requiresResponse: false });
      session.binding("a");
    },
  },
  {
    name: "a routing type that does not exist is refused",
    build: (script) => {
      const session = script.session();
      session.createAddress("a", [7]);
      session.binding("a");
      session.createQueue("q", { routingType: 7 });
      session.query("q");
    },
  },
  ...[0, 1, 255].flatMap((routingType) =>
    [true, false].flatMap((durable) =>
      [true, false].map(
        (temporary) =>
          ({
            name: `a queue of routing type ${routingType}, ${durable ? "durable" : "not durable"}, ${temporary ? "temporary" : "not temporary"}`,
            build: (script) => {
              const session = script.session();
              for (const [name, autoCreated, purgeOnNoConsumers, maxConsumers] of [
                ["a", false, false, -1],
                ["b", true, false, -1],
                ["c", false, true, 3],
                ["d", true, true, 0],
              ] as const) {
                session.createQueue(name, {
                  ...{
                    routingType,
                    durable,
                    temporary,
                    autoCreated,
                    purgeOnNoConsumers,
                    maxConsumers,
                  },
                  filter: name === "c" ? "color='red'" : null,
                });
                session.query(name);
                session.binding(name);
              }
              session.close();
            },
          }) satisfies PacketProgram,
      ),
    ),
  ),
  {
    name: "attributes of a queue come back as they were given",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", {
        ...{ exclusive: false, lastValue: false, nonDestructive: false, enabled: true },
        ...{ consumersBeforeDispatch: 0, delayBeforeDispatch: -1, groupRebalance: false },
        ...{ groupRebalancePauseDispatch: false, groupBuckets: -1, autoDelete: false },
        ...{ autoDeleteDelay: 0, autoDeleteMessageCount: 0, ringSize: -1 },
      });
      session.query("q");
      session.createQueue("exclusive", { exclusive: true });
      session.query("exclusive");
      session.createQueue("delayed", { autoDelete: true, autoDeleteDelay: 3_600_000 });
      session.query("delayed");
      session.createQueue("counted", { autoDelete: true, autoDeleteMessageCount: -1 });
      session.query("counted");
      session.createQueue("grouped", { groupBuckets: 4, groupFirstKey: "first" });
      session.query("grouped");
      session.createQueue("waiting", { consumersBeforeDispatch: 2, delayBeforeDispatch: 1000 });
      session.query("waiting");
      session.createQueue("ring", { ringSize: 3 });
      session.query("ring");
    },
  },
  {
    name: "creating a queue that exists is refused, whatever it is like",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.createQueue("q");
      session.createQueue("q", { address: "other" });
      session.createQueue("q", { routingType: 0 });
      session.createQueue("q", { durable: false, filter: "a=1" });
      session.createQueue("q", { requiresResponse: false });
      session.createQueue("q", { autoCreated: true });
      session.query("q");
      session.binding("other");
      session.binding("q");
    },
  },
  {
    name: "a queue may have the other routing type than its address",
    build: (script) => {
      const session = script.session();
      session.createAddress("a", [0]);
      session.createQueue("anycast", { address: "a", routingType: 1 });
      session.binding("a");
      session.query("anycast");
      session.createAddress("b", [1]);
      session.createQueue("unsaid", { address: "b", routingType: 255 });
      session.query("unsaid");
      session.binding("b");
      session.createAddress("c", [0, 1]);
      session.createQueue("both", { address: "c", routingType: 255 });
      session.query("both");
      session.createQueue("temporary", { address: "d", routingType: 1, temporary: true });
      session.createQueue("temporary2", { address: "d", routingType: 0, temporary: true });
      session.binding("d");
    },
  },
  {
    name: "a queue without a name, and one with a full name",
    build: (script) => {
      const session = script.session();
      session.createQueue("b::q", { address: "a" });
      session.query("q");
      session.query("a::q");
      session.query("b::q");
      session.binding("a");
      session.binding("b");
      session.createQueue("c::r", { address: "c" });
      session.query("r");
      session.createQueue("s", { address: "d::s" });
      session.query("s");
      session.binding("d");
    },
  },
  {
    name: "filters of queues are checked when they are created",
    build: (script) => {
      const session = script.session();
      for (const [index, filter] of [
        "color = 'red'",
        "color =",
        "",
        " ",
        "'text'",
        "color",
        "1 = 1",
        "a BETWEEN 1 AND 2 AND b IN ('x','y') OR c LIKE 'a%' ESCAPE '!' AND d IS NOT NULL",
        "NOT (a > 1.5e3)",
        "AMQPriority > 3 AND AMQDurable = 'DURABLE'",
        "a = 'it''s'",
        "a = 1 +",
        "a = 1 ; b = 2",
        "x-y = 1",
        "_AMQX=-1",
      ].entries()) {
        session.createQueue(`q${index}`, { filter });
        session.query(`q${index}`);
      }
    },
  },
  {
    name: "DELETE_QUEUE tells its consumers and forgets what they held",
    build: (script) => {
      const session = script.session({ autoCommitAcks: false });
      session.deleteQueue("q");
      session.createQueue("q");
      session.publish("q", "one");
      session.publish("q", "two");
      session.consumer(0, "q");
      session.deleteQueue("q");
      session.query("q");
      session.binding("q");
      session.credits(0, -1);
      session.closeConsumer(0);
      session.deleteQueue("q");
      session.createQueue("q");
      session.query("q");
    },
  },
  {
    name: "DELETE_QUEUE from another session while messages are in flight",
    build: (script) => {
      const consuming = script.session();
      const deleting = script.session();
      consuming.createQueue("q");
      consuming.publish("q", "one");
      consuming.consume(0, "q");
      consuming.start();
      deleting.deleteQueue("q");
      consuming.acknowledge(0, 0);
      consuming.closeConsumer(0);
      deleting.query("q");
      deleting.deleteQueue("a::q");
    },
  },
  {
    name: "DELETE_QUEUE by its full name",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { address: "a" });
      session.deleteQueue("a::q");
      session.query("q");
      session.createQueue("r", { address: "a" });
      session.deleteQueue("b::r");
      session.query("r");
    },
  },
  {
    name: "the address of a deleted queue stays when a client created it, and goes when it was automatic",
    build: (script) => {
      const session = script.session();
      session.createAddress("kept", [1]);
      session.createQueue("q", { address: "kept" });
      session.deleteQueue("q");
      session.binding("kept");
      session.createQueue("r", { address: "implied" });
      session.binding("implied");
      session.deleteQueue("r");
      session.binding("implied");
      session.createAddress("auto", [1], { autoCreated: true });
      session.createQueue("s", { address: "auto", autoCreated: true });
      session.deleteQueue("s");
      session.binding("auto");
      session.createQueue("t", { address: "autoImplied", autoCreated: true });
      session.deleteQueue("t");
      session.binding("autoImplied");
    },
  },
  {
    name: "a shared subscription is found again when address and filter are the same",
    build: (script) => {
      const session = script.session();
      session.createSharedQueue("s", { address: "a", filter: "color='red'" });
      session.query("s");
      session.createSharedQueue("s", { address: "a", filter: "color='red'" });
      session.createSharedQueue("s", { address: "a", filter: "color='blue'" });
      session.createSharedQueue("s", { address: "a", filter: null });
      session.createSharedQueue("s", { address: "b", filter: "color='red'" });
      session.createSharedQueue("s", { address: "a", filter: "color='red'", durable: false });
      session.createSharedQueue("s", { address: "a", filter: "color='red'", routingType: 1 });
      session.createSharedQueue("s", { address: "a", filter: "color='red'", maxConsumers: 5 });
      session.createSharedQueue("s", { address: "b", requiresResponse: false });
      session.query("s");
      session.createQueue("s", { address: "a" });
    },
  },
  {
    name: "a shared subscription that is not durable lives as long as somebody consumes",
    build: (script) => {
      const session = script.session();
      session.createSharedQueue("s", { address: "a", durable: false });
      session.query("s");
      session.consumer(0, "s");
      session.consumer(1, "s");
      session.closeConsumer(0);
      session.query("s");
      session.closeConsumer(1);
      session.query("s");
      session.binding("a");
      session.createSharedQueue("d", { address: "a", durable: true });
      session.consumer(2, "d");
      session.closeConsumer(2);
      session.query("d");
    },
  },
  {
    name: "a shared subscription on a queue that was created otherwise",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { address: "a", routingType: 0 });
      session.createSharedQueue("q", { address: "a" });
      session.createSharedQueue("q", { address: "b" });
      session.createQueue("filtered", { address: "a", routingType: 0, filter: "x=1" });
      session.createSharedQueue("filtered", { address: "a", filter: "x=1" });
      session.createSharedQueue("filtered", { address: "a" });
      session.createSharedQueue("bad", { address: "a", filter: "x=" });
      session.query("bad");
      session.createQueue("temporary", { address: "a", routingType: 0, temporary: true });
      session.createSharedQueue("temporary", { address: "a" });
    },
  },
  {
    name: "the old CREATE_QUEUE and CREATE_SHARED_QUEUE packets",
    build: (script) => {
      const session = script.session();
      const old = { filter: null, durable: true, temporary: false, requiresResponse: true };
      const address = script.name("a");
      session.packet(packets.createQueue, { ...old, address, queueName: script.name("q") });
      session.query("q");
      const { temporary: _temporary, ...shared } = old;
      session.packet(packets.createSharedQueue, {
        ...shared,
        address,
        queueName: script.name("s"),
      });
      session.query("s");
      session.binding("a");
    },
  },
  {
    name: "temporary queues outlive their session and go with their connection",
    build: (script) => {
      const owner = script.connect();
      const first = owner.session();
      const second = owner.session({ sessionChannelId: 11 });
      const other = script.session();
      first.createQueue("t", { temporary: true, durable: false });
      other.query("t");
      other.binding("t");
      other.publish("t", "one");
      other.query("t");
      second.consume(0, "t");
      second.start();
      second.acknowledge(0, -1);
      first.close();
      second.query("t");
      other.publish("t", "two");
      second.close();
      other.query("t");
      owner.drop();
      other.query("t");
      other.binding("t");
    },
  },
  {
    name: "a temporary queue of another connection",
    build: (script) => {
      const owner = script.session();
      const other = script.session();
      owner.createQueue("t", { temporary: true, durable: false });
      other.consumer(0, "t");
    },
  },
  {
    name: "a temporary queue of a connection that ends is taken from its consumers",
    build: (script) => {
      const owner = script.connect();
      const first = owner.session();
      first.createQueue("t", { temporary: true, durable: false, routingType: 0 });
      first.consume(0, "t");
      first.start();
      const other = script.session();
      other.publish("t", "one", { routing: 0 });
      other.deleteQueue("t");
      other.query("t");
      first.closeConsumer(0);
      first.createQueue("t", { temporary: true, durable: false });
      first.query("t");
    },
  },
  {
    name: "metadata is noted, answered where asked, and unique where asked",
    build: (script) => {
      const connection = script.connect();
      const first = connection.session();
      const second = connection.session({ sessionChannelId: 11 });
      const other = script.session();
      const value = { key: "client", data: script.name("x") };
      first.packet(packets.addMetadata, value);
      first.packet(packets.addMetadataV2, { ...value, requiresConfirmation: true });
      first.packet(packets.addMetadataV2, { ...value, requiresConfirmation: false });
      first.packet(packets.addUniqueMetadata, { ...value, requiresConfirmation: true });
      second.packet(packets.addUniqueMetadata, { ...value, requiresConfirmation: true });
      other.packet(packets.addUniqueMetadata, { ...value, requiresConfirmation: true });
      other.packet(packets.addUniqueMetadata, { ...value, requiresConfirmation: false });
      other.packet(packets.addMetadataV2, { ...value, requiresConfirmation: true });
      other.packet(packets.addUniqueMetadata, {
        key: "client",
        data: script.name("y"),
        requiresConfirmation: true,
      });
      first.packet(packets.addUniqueMetadata, {
        key: "client",
        data: script.name("y"),
        requiresConfirmation: true,
      });
      first.close();
      second.packet(packets.addUniqueMetadata, { ...value, requiresConfirmation: true });
      connection.drop();
      other.packet(packets.addUniqueMetadata, { ...value, requiresConfirmation: true });
    },
  },
  {
    name: "metadata that was not asked to be unique counts all the same",
    build: (script) => {
      const first = script.session();
      const other = script.session();
      const value = { key: "client", data: script.name("x"), requiresConfirmation: true };
      first.packet(packets.addMetadataV2, value);
      other.packet(packets.addUniqueMetadata, value);
      first.packet(packets.addMetadataV2, { ...value, data: script.name("z") });
      other.packet(packets.addUniqueMetadata, value);
    },
  },
];
