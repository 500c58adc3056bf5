import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deferred, EverholdError } from "@everhold/base";
import type { ConnectHandler, Endpoint, Link, LinkHandler, Listener } from "@everhold/env";
import { NodeNetwork } from "./network.ts";

const host = "127.0.0.1";

/** Records what happens on one link and lets a test wait for it. */
class Recorder implements LinkHandler {
  readonly closed = deferred<Error | undefined>();
  readonly drained = deferred<undefined>();
  readonly sent: Uint8Array[] = [];
  received = new Uint8Array(0);
  #waiter: { readonly length: number; readonly resolve: () => void } | undefined;

  onData(bytes: Uint8Array): void {
    const all = new Uint8Array(this.received.length + bytes.length);
    all.set(this.received);
    all.set(bytes, this.received.length);
    this.received = all;
    if (this.#waiter !== undefined && all.length >= this.#waiter.length) this.#waiter.resolve();
  }

  onSent(bytes: Uint8Array): void {
    this.sent.push(bytes);
  }

  onDrained(): void {
    this.drained.resolve(undefined);
  }

  onClosed(error: Error | undefined): void {
    this.closed.resolve(error);
  }

  async receivedBytes(length: number): Promise<void> {
    if (this.received.length >= length) return;
    await new Promise<void>((resolve) => {
      this.#waiter = { length, resolve };
    });
  }
}

interface Pair {
  readonly listener: Listener;
  readonly near: { readonly link: Link; readonly recorder: Recorder };
  readonly far: { readonly link: Link; readonly recorder: Recorder };
}

async function connectPair(network: NodeNetwork): Promise<Pair> {
  const far = deferred<Pair["far"]>();
  const listener = await network.listen({ host, port: 0 }, (link) => {
    const recorder = new Recorder();
    far.resolve({ link, recorder });
    return recorder;
  });
  const near = deferred<Pair["near"]>();
  network.connect(listener.endpoint, {
    onConnected: (link) => {
      const recorder = new Recorder();
      near.resolve({ link, recorder });
      return recorder;
    },
    onFailed: (error) => near.reject(error),
  });
  return { listener, near: await near.promise, far: await far.promise };
}

/** Whether an attempt was told to be refused by a machine where nobody listens. */
function isRefused(network: NodeNetwork, endpoint: Endpoint): Promise<boolean | undefined> {
  return new Promise((resolve, reject) => {
    network.connect(endpoint, {
      onConnected: () => {
        reject(new Error("connected"));
        return new Recorder();
      },
      onFailed: (_error, refused) => resolve(refused),
    });
  });
}

function failure(network: NodeNetwork, endpoint: Endpoint): Promise<Error> {
  return new Promise((resolve, reject) => {
    const handler: ConnectHandler = {
      onConnected: () => {
        reject(new Error("connected"));
        return new Recorder();
      },
      onFailed: resolve,
    };
    network.connect(endpoint, handler);
  });
}

describe("NodeNetwork", () => {
  it("carries bytes both ways, gives buffers back, and ends in order", async () => {
    const { listener, near, far } = await connectPair(new NodeNetwork());
    assert.match(near.link.peer, /^127\.0\.0\.1:\d+$/);
    const question = Uint8Array.of(1, 2, 3);
    near.link.send(question);
    await far.recorder.receivedBytes(3);
    assert.deepEqual([...far.recorder.received], [1, 2, 3]);
    far.link.send(Uint8Array.of(4));
    far.link.end();
    await near.recorder.receivedBytes(1);
    assert.equal(await near.recorder.closed.promise, undefined);
    assert.equal(await far.recorder.closed.promise, undefined);
    assert.equal(near.recorder.sent[0], question);
    await listener.close();
  });

  it("bytes sent on a closed link are given back, later", async () => {
    const { listener, near, far } = await connectPair(new NodeNetwork());
    near.link.destroy();
    await near.recorder.closed.promise;
    const bytes = Uint8Array.of(1);
    near.link.send(bytes);
    assert.equal(near.recorder.sent.length, 0, "never before send has returned");
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(near.recorder.sent[0], bytes);
    assert.equal(near.link.queuedBytes, 0);
    near.link.pause();
    near.link.resume();
    near.link.end();
    near.link.destroy();
    await far.recorder.closed.promise;
    await listener.close();
  });

  it("a peer that does not read shows in queuedBytes, until it reads", async () => {
    const { listener, near, far } = await connectPair(new NodeNetwork());
    far.link.pause();
    const chunk = new Uint8Array(4 * 1024 * 1024);
    let count = 0;
    while (near.link.queuedBytes === 0 || count < 4) {
      near.link.send(chunk);
      count += 1;
    }
    assert.ok(near.link.queuedBytes > 0);
    far.link.resume();
    await near.recorder.drained.promise;
    assert.equal(near.link.queuedBytes, 0);
    assert.equal(near.recorder.sent.length, count);
    near.link.destroy();
    await far.recorder.closed.promise;
    await listener.close();
  });

  it("destroy drops what is queued, gives it back, and nothing arrives afterwards", async () => {
    const { listener, near, far } = await connectPair(new NodeNetwork());
    far.link.pause();
    const chunk = new Uint8Array(16 * 1024 * 1024);
    near.link.send(chunk);
    near.link.destroy();
    await near.recorder.closed.promise;
    assert.equal(near.recorder.sent[0], chunk);
    far.link.destroy();
    await far.recorder.closed.promise;
    await listener.close();
  });

  it("an attempt on a port where nobody listens fails with what to do", async () => {
    const network = new NodeNetwork();
    const { listener, near, far } = await connectPair(network);
    near.link.destroy();
    await far.recorder.closed.promise;
    await listener.close();
    const error = await failure(network, listener.endpoint);
    assert.ok(EverholdError.is(error, "EVH_NOT_CONNECTED"));
    assert.match(error.message, /nothing listens there \(ECONNREFUSED\)/);
    assert.equal(error.outcome, "none");
    assert.equal(await isRefused(network, listener.endpoint), true);
  });

  it("an attempt that fails for another reason is not told to be refused", async () => {
    const network = new NodeNetwork();
    const listener = await network.listen({ host, port: 0 }, (link) => {
      link.destroy();
      return new Recorder();
    });
    assert.equal(await isRefused(network, { ...listener.endpoint, tls: {} }), false);
    await listener.close();
  });

  it("an impossible port fails later like any other attempt", async () => {
    const error = await failure(new NodeNetwork(), { host, port: 70_000 });
    assert.ok(EverholdError.is(error, "EVH_NOT_CONNECTED"));
  });

  it("a port in use is named with its cure", async () => {
    const network = new NodeNetwork();
    const listener = await network.listen({ host, port: 0 }, () => new Recorder());
    await assert.rejects(
      network.listen(listener.endpoint, () => new Recorder()),
      { code: "EVH_PORT_IN_USE", message: /choose another port/ },
    );
    await listener.close();
    await (await network.listen(listener.endpoint, () => new Recorder())).close();
  });

  it("a cancelled attempt is never heard of again", async () => {
    const network = new NodeNetwork();
    const accepted: Link[] = [];
    const listener = await network.listen({ host, port: 0 }, (link) => {
      accepted.push(link);
      return new Recorder();
    });
    const calls: string[] = [];
    const attempt = network.connect(listener.endpoint, {
      onConnected: () => {
        calls.push("connected");
        return new Recorder();
      },
      onFailed: () => void calls.push("failed"),
    });
    attempt.cancel();
    attempt.cancel();
    // A second connection is a round trip later than anything the first could still cause.
    const witness = deferred<Link>();
    network.connect(listener.endpoint, {
      onConnected: (link) => {
        witness.resolve(link);
        return new Recorder();
      },
      onFailed: (error) => witness.reject(error),
    });
    (await witness.promise).destroy();
    assert.deepEqual(calls, []);
    for (const link of accepted) link.destroy();
    await listener.close();
  });
});
