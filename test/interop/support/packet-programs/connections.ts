import { packets } from "@everhold/wire";

import type { PacketProgram } from "../packet-comparison.ts";

/** Connections, channels, versions and sessions: sections 1, 3.2 and 5. */
export const connectionPrograms: readonly PacketProgram[] = [
  {
    name: "a ping comes back, before and after the topology",
    build: (script) => {
      const connection = script.connectSilently();
      connection.ping();
      connection.ping(30_000);
      connection.request(0, packets.subscribeTopologyV2, {
        clusterConnection: false,
        clientVersion: 136,
      });
      connection.ping(-1);
      connection.packet(0, packets.subscribeTopologyV2, {
        clusterConnection: false,
        clientVersion: 136,
      });
    },
  },
  ...[129, 130, 131, 134, 136].map(
    (version) =>
      ({
        name: `the topology for a client of version ${version}`,
        build: (script) => {
          const connection = script.connectSilently(version);
          connection.request(0, packets.subscribeTopologyV2, {
            clusterConnection: false,
            clientVersion: version,
          });
        },
      }) satisfies PacketProgram,
  ),
  {
    name: "CHECK_FOR_FAILOVER is answered",
    build: (script) => {
      const connection = script.connect();
      connection.request(1, packets.checkForFailover, { nodeId: null });
      connection.packet(1, packets.checkForFailover, { nodeId: "another" });
    },
  },
  {
    name: "versions that the broker does not know are refused, and the connection stays",
    build: (script) => {
      const connection = script.connectSilently();
      for (const version of [137, 100, 0, -1]) connection.session({ version });
      connection.session({ version: 136 });
    },
  },
  {
    name: "a client of before 2.0",
    build: (script) => script.connectSilently().session({ version: 128 }),
  },
  {
    name: "the version that was named first holds",
    build: (script) => {
      const connection = script.connect(130);
      const session = connection.session({ version: 136 });
      session.createQueue("q");
      session.binding("q");
      session.publish("q", "one");
      session.commit();
    },
  },
  {
    name: "a topology subscription with an unknown version leaves the choice to the session",
    build: (script) => {
      const connection = script.connectSilently(136);
      connection.packet(0, packets.subscribeTopologyV2, {
        clusterConnection: false,
        clientVersion: 137,
      });
      const session = connection.session({ version: 136 });
      session.createQueue("q");
      session.binding("q");
    },
  },
  {
    name: "both forms of CREATESESSION open a session",
    build: (script) => {
      const connection = script.connect();
      connection.session({ isV2: true, clientId: script.name("client") });
      connection.session({ sessionChannelId: 11 });
      connection.session({ isV2: true, sessionChannelId: 4711 });
    },
  },
  {
    name: "a packet for an unknown channel is ignored",
    build: (script) => {
      const connection = script.connect();
      connection.packet(77, packets.queueQuery, { queueName: "q" });
      connection.packet(77, packets.sessionStart, {});
      const session = connection.session();
      session.query("q");
      session.close();
      session.query("q");
      session.start();
      connection.ping();
    },
  },
  {
    name: "a packet for a channel of brokers among themselves",
    build: (script) => {
      const connection = script.connect();
      connection.packet(5, packets.queueQuery, { queueName: "q" });
      connection.ping();
    },
  },
  {
    name: "a closed channel may be used again",
    build: (script) => {
      const connection = script.connect();
      const first = connection.session();
      first.createQueue("q");
      first.publish("q", "one");
      first.close();
      const second = connection.session({ name: `${script.prefix}again` });
      second.consume(0, "q");
      second.start();
      second.close();
      const third = connection.session({ name: `${script.prefix}again` });
      third.query("q");
    },
  },
  ...[9, 40, 67, 99, 150, 200, 230].map(
    (id) =>
      ({
        name: `a packet of the unknown id or wrong channel ${id} on the connection's channel`,
        build: (script) => {
          const connection = script.connect();
          connection.frame(id, 0, new Uint8Array(0));
          connection.ping();
        },
      }) satisfies PacketProgram,
  ),
  ...[9, 99, 150, 200, 230].map(
    (id) =>
      ({
        name: `a packet of the unknown id ${id} on a session's channel`,
        build: (script) => {
          const connection = script.connect();
          const session = connection.session();
          connection.frame(id, 10, new Uint8Array(8));
          session.query("q");
          connection.ping();
        },
      }) satisfies PacketProgram,
  ),
  {
    name: "a packet that only brokers send, on a session's channel",
    build: (script) => {
      const connection = script.connect();
      const session = connection.session();
      session.packet(packets.nullResponse, { correlationId: 4 });
      session.query("q");
    },
  },
  {
    name: "a session's packet on the channel of sessions",
    build: (script) => {
      const connection = script.connect();
      connection.packet(1, packets.queueQuery, { queueName: "q" });
      connection.session();
    },
  },
  {
    name: "PACKETS_CONFIRMED on a session without a window",
    build: (script) => {
      const session = script.session();
      session.packet(packets.packetsConfirmed, { commandId: 5 });
      session.query("q");
    },
  },
  {
    name: "reattaching a session that nobody knows is refused",
    build: (script) => {
      const connection = script.connect();
      connection.request(1, packets.reattachSession, {
        name: `${script.prefix}nobody`,
        lastConfirmedCommandId: -1,
      });
      connection.session();
    },
  },
  {
    name: "reattaching a session without a window is refused, and the old one ends",
    build: (script) => {
      const old = script.connect();
      const first = old.session({ name: `${script.prefix}old` });
      first.createQueue("q");
      first.publish("q", "one");
      first.consume(0, "q");
      first.start();
      const connection = script.connect();
      connection.request(1, packets.reattachSession, {
        name: `${script.prefix}old`,
        lastConfirmedCommandId: -1,
      });
      const second = connection.session();
      second.query("q");
      second.consume(0, "q");
      second.start();
    },
  },
  {
    name: "reattaching a session with a window brings it to the new connection",
    build: (script) => {
      const old = script.connect();
      const first = old.session({
        name: `${script.prefix}old`,
        confirmationWindowSize: 1_000_000,
      });
      first.createQueue("q");
      const connection = script.connect();
      connection.request(1, packets.reattachSession, {
        name: `${script.prefix}old`,
        lastConfirmedCommandId: -1,
      });
    },
  },
  {
    name: "a connection with a confirmation window that is lost",
    build: (script) => {
      const lost = script.session({ confirmationWindowSize: 1000 });
      const other = script.session();
      lost.createQueue("q");
      lost.consume(0, "q");
      lost.connection.drop();
      other.query("q");
    },
  },
  {
    name: "a session whose name is taken",
    build: (script) => {
      const name = `${script.prefix}same`;
      const first = script.session({ name });
      first.createQueue("q");
      const second = script.session({ name });
      second.query("q");
      first.query("q");
      second.close();
      first.query("q");
    },
  },
  {
    name: "a session on a channel that is taken",
    build: (script) => {
      const connection = script.connect();
      const first = connection.session();
      first.createQueue("q");
      connection.session({ name: `${script.prefix}second` });
      connection.ping();
    },
  },
  {
    name: "a session on one of the protocol's own channels",
    build: (script) => {
      const connection = script.connect();
      connection.session({ sessionChannelId: 3 });
      connection.ping();
    },
  },
  {
    name: "bytes that are no frame end the connection",
    build: (script) => {
      const connection = script.connect();
      connection.session();
      script.step("a frame with a negative length", (stage) => {
        stage.write(0, new Uint8Array([0xff, 0xff, 0xff, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
      });
      script.wait(100);
    },
  },
  {
    name: "a packet that ends too early",
    build: (script) => {
      const connection = script.connect();
      const session = connection.session();
      connection.frame(packets.createConsumer.id, 10, new Uint8Array(3));
      session.query("q");
    },
  },
  {
    name: "confirmations cover what was handled",
    build: (script) => {
      const connection = script.connect();
      const session = connection.session({ confirmationWindowSize: 600 });
      session.createQueue("q");
      for (let index = 0; index < 12; index += 1) session.publish("q", `m${index}`);
      session.consume(0, "q");
      session.start();
      session.acknowledge(0, -1);
      session.packet(packets.packetsConfirmed, { commandId: 3 });
      connection.ping();
      session.close();
    },
  },
  {
    name: "confirmations go on after an error",
    build: (script) => {
      const connection = script.connect();
      const session = connection.session({ confirmationWindowSize: 1 });
      session.createQueue("q");
      session.deleteQueue("unknown");
      session.publish("q", "one");
      session.commit();
      session.close();
    },
  },
  {
    name: "STOP and CLOSE are answered, START is not",
    build: (script) => {
      const session = script.session();
      session.start();
      session.start();
      session.packet(packets.sessionStop, {});
      session.packet(packets.sessionStop, {});
      session.start();
      session.close();
    },
  },
  {
    name: "requests that are sent without waiting are answered in order",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      script.together(() => {
        session.publish("q", "one");
        session.query("r");
        session.publish("q", "two", { durable: false });
        session.binding("q");
        session.deleteQueue("unknown");
        session.publish("q", "three");
        session.commit();
        session.query("r");
      });
    },
  },
];
