import assert from "node:assert/strict";
import dns from "node:dns";
import { describe, it, mock, type TestContext } from "node:test";
import type { Link, LinkHandler } from "@everhold/env";
import { NodeNetwork } from "./network.ts";

const quiet: LinkHandler = {
  onData: () => undefined,
  onSent: () => undefined,
  onDrained: () => undefined,
  onClosed: () => undefined,
};

interface Address {
  readonly address: string;
  readonly family: number;
}

/** Lets names stand for what `addresses` says at the time. Gives how often they were asked for. */
function answerNames(context: TestContext, addresses: () => readonly Address[]): () => number {
  type Done = (error: null, found: readonly Address[]) => void;
  const lookup = mock.method(dns, "lookup", (_name: string, _options: object, done: Done) => {
    setImmediate(() => done(null, addresses()));
  });
  context.after(() => lookup.mock.restore());
  return () => lookup.mock.callCount();
}

function connectOnce(network: NodeNetwork, port: number): Promise<Link> {
  return new Promise((resolve, reject) => {
    network.connect(
      { host: "broker.example", port },
      {
        onConnected(link) {
          resolve(link);
          return quiet;
        },
        onFailed: reject,
      },
    );
  });
}

describe("the name of a broker", () => {
  it("may have several addresses, of which all are tried", async (context) => {
    const network = new NodeNetwork();
    const listener = await network.listen({ host: "127.0.0.1", port: 0 }, () => quiet);
    const hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.1"];
    answerNames(context, () => hosts.map((address) => ({ address, family: 4 })));
    const link = await connectOnce(network, listener.endpoint.port);
    link.destroy();
    await listener.close();
  });

  it("is resolved anew at every attempt", async (context) => {
    const network = new NodeNetwork();
    const listener = await network.listen({ host: "127.0.0.1", port: 0 }, () => quiet);
    let address = "127.0.0.2";
    const askedCount = answerNames(context, () => [{ address, family: 4 }]);
    await assert.rejects(connectOnce(network, listener.endpoint.port));
    address = "127.0.0.1";
    const link = await connectOnce(network, listener.endpoint.port);
    link.destroy();
    assert.equal(askedCount(), 2);
    await listener.close();
  });
});
