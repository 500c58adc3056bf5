import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { nettyConnectorFactory, packets, type PacketOf } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import { limits } from "../limits.ts";
import { ManualWorld } from "../testing/manual-world.test-support.ts";
import { runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";
import type { Connector } from "./connector.ts";

type Told = PacketOf<typeof packets.clusterTopologyV4>;

const here: Connector = { host: "one.example", port: 61_616 };
const second: Connector = { host: "two.example", port: 61_616 };
const third: Connector = { host: "three.example", port: 61_617, tls: true };

/** What a test says of a group. */
class FakeGroup {
  epoch = 1;
  backup: Connector | null = second;
}

async function startLive(
  group: FakeGroup,
  world = new ManualWorld(),
): Promise<{ world: ManualWorld; broker: Broker }> {
  return startBroker({ connector: here }, world, { topology: group });
}

async function subscriber(world: ManualWorld): Promise<TestClient> {
  const client = new TestClient(world);
  client.send(packets.subscribeTopologyV2, 0, { clusterConnection: false, clientVersion: 136 });
  await client.settle();
  return client;
}

/** `primary backup`, each as `host:port`. */
function pairIn({ pair }: Told): string {
  return [pair?.primary, pair?.backup]
    .map((connector) => {
      const parameter = (key: string): unknown => connector?.parameters.get(key)?.value;
      return connector ? `${String(parameter("host"))}:${String(parameter("port"))}` : "-";
    })
    .join(" ");
}

/** All that a client was told and has not looked at. */
async function heard(client: TestClient): Promise<Told[]> {
  await client.settle();
  return client.frames.splice(0).map((frame) => client.decode(packets.clusterTopologyV4, frame));
}

describe("who asks for the topology of a group", () => {
  it("is told the node, where it is and who comes next", async () => {
    const { world, broker } = await startLive(new FakeGroup());
    const client = await subscriber(world);
    const [told, ...more] = await heard(client);
    assert.ok(told);
    assert.deepEqual(more, []);
    assert.deepEqual([told.exit, told.nodeId], [false, broker.nodeId]);
    assert.deepEqual(told.pair, {
      primary: {
        name: "one.example:61616",
        factoryClassName: nettyConnectorFactory,
        parameters: new Map([
          ["host", { type: "string", value: "one.example" }],
          ["port", { type: "string", value: "61616" }],
        ]),
      },
      backup: {
        name: "two.example:61616",
        factoryClassName: nettyConnectorFactory,
        parameters: new Map([
          ["host", { type: "string", value: "two.example" }],
          ["port", { type: "string", value: "61616" }],
        ]),
      },
      last: true,
    });
  });

  it("is told each change, once and with a greater number; others hear nothing", async () => {
    const group = new FakeGroup();
    const { world, broker } = await startLive(group);
    const [first, late] = [await subscriber(world), new TestClient(world)];
    await late.createSession();
    const [before] = await heard(first);
    await late.names();
    group.backup = third;
    broker.topologyChanged();
    broker.topologyChanged();
    const [after, ...more] = await heard(first);
    assert.ok(before && after);
    assert.deepEqual(more, []);
    assert.equal(pairIn(after), "one.example:61616 three.example:61617");
    assert.equal(after.pair?.backup?.parameters.get("sslEnabled")?.value, "true");
    assert.ok(after.eventId > before.eventId);
    assert.deepEqual(await late.names(), []);
    group.backup = null;
    broker.topologyChanged();
    const [alone] = await heard(first);
    assert.ok(alone && alone.eventId > after.eventId);
    assert.equal(pairIn(alone), "one.example:61616 -");
  });

  it("hears it as its version knows it, also the changes", async () => {
    const group = new FakeGroup();
    const { world, broker } = await startLive(group);
    const client = new TestClient(world, 130);
    client.send(packets.subscribeTopologyV2, 0, { clusterConnection: false, clientVersion: 130 });
    group.backup = third;
    await client.settle();
    broker.topologyChanged();
    assert.deepEqual(await client.names(), ["CLUSTER_TOPOLOGY_V3", "CLUSTER_TOPOLOGY_V3"]);
  });

  it("and reads nothing is told the newest when it reads again", async () => {
    const group = new FakeGroup();
    const { world, broker } = await startLive(group);
    const client = await TestClient.open(world);
    await client.createQueue();
    await client.consume("q");
    client.socket.isReading = false;
    const body = new Uint8Array(64 * 1024);
    const count = (2 * limits.outputHighBytes) / body.length;
    for (let sent = 0; sent < count; sent += 1) client.post(messageOf("q", { body }));
    await world.settle();
    for (const backup of [third, null, third]) {
      group.backup = backup;
      broker.topologyChanged();
    }
    client.socket.read();
    const told = (await client.settle(), client.frames).filter(
      ({ name }) => name === "CLUSTER_TOPOLOGY_V4",
    );
    assert.deepEqual(
      told.map((frame) => pairIn(client.decode(packets.clusterTopologyV4, frame))),
      ["one.example:61616 three.example:61617"],
    );
  });
});

describe("the numbers of what is told", () => {
  it("grow from epoch to epoch, however many changes there were, and lie above every clock", async () => {
    const world = new ManualWorld();
    const group = new FakeGroup();
    const before = await startLive(group, world);
    for (let change = 0; change < 2 ** 20 + 8; change += 1) {
      group.backup = change % 2 === 0 ? third : second;
      before.broker.topologyChanged();
    }
    const [last] = await heard(await subscriber(world));
    await runUntil(world, before.broker.stop());
    // The next one's clock is behind.
    world.nowMs -= 3_600_000;
    group.epoch += 1;
    await startLive(group, world);
    const [first] = await heard(await subscriber(world));
    assert.ok(last && first);
    assert.ok(first.eventId > last.eventId);
    assert.ok(last.eventId > Date.UTC(2200, 0));
    assert.equal(first.nodeId, last.nodeId);
  });

  it("are exact in the last epoch that there can be", async () => {
    const group = new FakeGroup();
    group.epoch = 2 ** 32 - 1;
    const { world, broker } = await startLive(group);
    const client = await subscriber(world);
    group.backup = null;
    broker.topologyChanged();
    const [first, next] = await heard(client);
    assert.ok(first && next);
    assert.equal(next.eventId - first.eventId, 1);
    assert.ok(Number.isSafeInteger(next.eventId));
  });
});

describe("a connector", () => {
  it("of a broker that is alone is told without a backup", async () => {
    const { world, broker } = await startBroker({ connector: here });
    const [told] = await heard(await subscriber(world));
    assert.ok(told);
    assert.equal(pairIn(told), "one.example:61616 -");
    broker.topologyChanged();
  });

  it("is what management shows, with the backup", async () => {
    const group = new FakeGroup();
    const { broker } = await startLive(group);
    const shown = (): unknown =>
      broker.management.invoke("broker", "listNetworkTopology", []).value;
    const member = { nodeID: broker.nodeId, live: "one.example:61616" };
    const primary = "one.example:61616";
    assert.deepEqual(shown(), [{ ...member, primary, backup: "two.example:61616" }]);
    group.backup = null;
    broker.topologyChanged();
    assert.deepEqual(shown(), [{ ...member, primary }]);
  });

  it("that no client could reach is refused", async () => {
    const wrong: readonly [Connector, string][] = [
      [{ host: "0.0.0.0", port: 1 }, 'connector.host is "0.0.0.0", expected'],
      [{ host: "::", port: 1 }, 'connector.host is "::", expected'],
      [{ host: "", port: 1 }, 'connector.host is "", expected'],
      [{ host: "one.example:61616", port: 1 }, 'connector.host is "one.example:61616", expected'],
      [{ host: "one two", port: 1 }, 'connector.host is "one two", expected'],
      [{ host: "one", port: 0 }, "connector.port is 0, expected a whole number from 1 to 65535"],
      [{ host: "one", port: 65_536 }, "connector.port is 65536, expected"],
    ];
    for (const [connector, message] of wrong) {
      await assert.rejects(startBroker({ connector }), (error: Error & { code?: string }) => {
        assert.equal(error.code, "EVH_CONFIG");
        assert.ok(error.message.startsWith(message), error.message);
        return true;
      });
    }
    for (const host of ["one.example", "10.0.0.1", "::1", "2001:db8::1"]) {
      await startBroker({ connector: { host, port: 61_616 } });
    }
  });
});
