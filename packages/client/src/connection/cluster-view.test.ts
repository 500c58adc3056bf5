import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TopologyUpdate } from "../core/topology.ts";
import { limits } from "../limits.ts";
import { connectorTo } from "../testing/test-broker.test-support.ts";
import { formatEndpoint } from "../url/parse-url.ts";
import { ClusterView, connectorEndpoint } from "./cluster-view.ts";
import { shownMembers } from "./topology-member.ts";

const teller = { host: "t", port: 1 };

function told(nodeId: string, change: Partial<TopologyUpdate> = {}): TopologyUpdate {
  return {
    nodeId,
    eventId: 1,
    exit: false,
    primary: null,
    backup: null,
    last: false,
    serverVersion: 136,
    ...change,
  };
}

function membersOf(view: ClusterView): string[] {
  return shownMembers(view.members).map(
    ({ nodeId, primary = "-", backup = "-" }) => `${nodeId} ${primary} ${backup}`,
  );
}

describe("what brokers say of their cluster", () => {
  it("counts by the later event", () => {
    const view = new ClusterView();
    assert.ok(view.update(told("n", { eventId: 5, primary: connectorTo("a:1") }), teller));
    assert.ok(!view.update(told("n", { eventId: 4, primary: connectorTo("b:2") }), teller));
    assert.deepEqual(membersOf(view), ["n tcp://a:1 -"]);
    assert.ok(view.update(told("n", { eventId: 6, primary: connectorTo("b:2") }), teller));
    assert.deepEqual(membersOf(view), ["n tcp://b:2 -"]);
  });

  it("lets a missing backup be filled in, and does not forget one", () => {
    const view = new ClusterView();
    const primary = connectorTo("a:1");
    view.update(told("n", { eventId: 5, primary }), teller);
    assert.ok(view.update(told("n", { eventId: 5, primary, backup: connectorTo("b:2") }), teller));
    assert.ok(!view.update(told("n", { eventId: 6, primary }), teller));
    assert.deepEqual(membersOf(view), ["n tcp://a:1 tcp://b:2"]);
  });

  it("lets a node go, and come back only with later news", () => {
    const view = new ClusterView();
    view.update(told("n", { eventId: 5 }), teller);
    assert.ok(!view.update(told("n", { eventId: 4, exit: true }), teller));
    assert.ok(view.update(told("n", { eventId: 6, exit: true }), teller));
    assert.deepEqual(view.members, []);
    assert.ok(!view.update(told("n", { eventId: 5 }), teller));
    assert.ok(view.update(told("n", { eventId: 7 }), teller));
    assert.ok(!view.update(told("other", { exit: true }), teller));
  });

  it("finds the node that a client is connected to by its endpoint", () => {
    const view = new ClusterView();
    view.update(told("n", { primary: connectorTo("a:1"), backup: connectorTo("b:1") }), teller);
    view.update(told("m", { primary: connectorTo("c:1") }), teller);
    assert.equal(view.memberAt({ host: "B", port: 1 })?.nodeId, "n");
    assert.equal(view.memberAt({ host: "c", port: 1 })?.nodeId, "m");
    assert.equal(view.memberAt({ host: "d", port: 1 }), undefined);
  });

  it("takes the only node that is told of for the one that tells it", () => {
    const view = new ClusterView();
    view.update(told("n"), teller);
    assert.equal(view.memberAt(teller)?.nodeId, "n");
    view.beginConnection();
    assert.equal(view.memberAt(teller), undefined);
    view.update(told("m"), teller);
    assert.equal(view.memberAt(teller)?.nodeId, "m");
  });

  it("finds the other half of a node, whichever the client is connected to", () => {
    const view = new ClusterView();
    view.update(told("n", { primary: connectorTo("a:1"), backup: connectorTo("b:1") }), teller);
    const other = (host: string): string => {
      const endpoint = view.standbyOf("n", { host, port: 1 });
      return endpoint === undefined ? "" : formatEndpoint(endpoint);
    };
    assert.deepEqual([other("a"), other("b"), other("t")], ["tcp://b:1", "tcp://a:1", "tcp://b:1"]);
    assert.equal(view.standbyOf("m", teller), undefined);
  });

  it("keeps where a node was said to be before, the latest first", () => {
    const view = new ClusterView();
    const tell = (eventId: number, primary: string, backup?: string): boolean =>
      view.update(
        told("n", {
          eventId,
          primary: connectorTo(primary),
          ...(backup === undefined ? {} : { backup: connectorTo(backup) }),
        }),
        teller,
      );
    const former = (): string[] => view.formerOf("n").map((endpoint) => endpoint.host);
    tell(1, "a:1", "b:1");
    assert.deepEqual(former(), []);
    tell(2, "a:1", "c:1");
    assert.deepEqual(former(), ["b"]);
    tell(3, "c:1", "d:1");
    assert.deepEqual(former(), ["a", "b"]);
    tell(4, "c:1", "b:1");
    assert.deepEqual(former(), ["d", "a"]);
    tell(3, "e:1", "f:1");
    assert.deepEqual(former(), ["d", "a"]);
    assert.deepEqual(view.formerOf("m"), []);
    for (let eventId = 5; eventId < 100; eventId += 1) tell(eventId, `x${eventId}:1`);
    assert.equal(former().length, limits.formerEndpointCountMax);
    assert.equal(former()[0], "x98");
  });

  it("is remembered within bounds", () => {
    const view = new ClusterView();
    for (let index = 0; index < 1000; index += 1) {
      view.update(told(`n${index}`), teller);
      view.update(told(`m${index}`, { exit: true }), teller);
    }
    assert.equal(view.members.length, limits.clusterMemberCountMax);
  });
});

describe("a connector", () => {
  it("that listens everywhere says nothing of where it is", () => {
    for (const where of ["0.0.0.0:1", "a:0", "a:70000"]) {
      assert.equal(connectorEndpoint(connectorTo(where), teller), undefined);
    }
    assert.equal(connectorEndpoint(null, teller), undefined);
  });

  it("on the broker's own machine is sought on that machine", () => {
    assert.deepEqual(connectorEndpoint(connectorTo("localhost:7"), teller), {
      host: "t",
      port: 7,
    });
    const near = { host: "localhost", port: 1 };
    assert.equal(connectorEndpoint(connectorTo("127.0.0.1:7"), near)?.host, "localhost");
  });

  it("is spoken to in TLS where it says so, or where its teller is", () => {
    const tls = { ca: "x" };
    assert.equal(connectorEndpoint(connectorTo("a:7"), { ...teller, tls })?.tls, tls);
    const parameters = new Map([["sslEnabled", { type: "string", value: "true" }] as const]);
    assert.deepEqual(connectorEndpoint({ parameters }, teller), {
      host: "t",
      port: 61616,
      tls: {},
    });
  });
});
