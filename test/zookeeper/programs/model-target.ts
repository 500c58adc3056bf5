import type { Link, LinkHandler } from "@everhold/env";
import { ModelEnsemble, type ServerVersion } from "@everhold/sim";
import { TestWorld } from "@everhold/test-world";

import type { ZooKeeperVersion } from "../support/class-path.ts";
import type { Target, Wire } from "./wire.ts";

/** The model of servers, set up as {@link RealTarget} is. */
export class ModelTarget implements Target {
  readonly name: string;
  readonly serverCount: number;
  readonly #version: ServerVersion;
  #world = new TestWorld();
  #ensemble: ModelEnsemble;

  constructor(version: ZooKeeperVersion, serverCount: number) {
    this.serverCount = serverCount;
    this.name = `the model of ${version}`;
    if (version !== "3.8.0" && version !== "3.9.5") {
      throw new Error(`there is no model of ZooKeeper ${version}, only of 3.8.0 and 3.9.5`);
    }
    this.#version = version;
    this.#ensemble = this.#newEnsemble();
  }

  async connect(server: number): Promise<Wire> {
    while (this.#ensemble.leaderIndex === undefined) await this.#world.advance(100);
    const index = (this.#ensemble.leaderIndex + server) % this.serverCount;
    return new ModelWire(this.#world, (link) => this.#ensemble.accept(index, link));
  }

  async cleanUp(): Promise<void> {
    this.#ensemble.close();
    this.#world = new TestWorld();
    this.#ensemble = this.#newEnsemble();
  }

  #newEnsemble(): ModelEnsemble {
    return new ModelEnsemble(this.#world.ports, {
      serverCount: this.serverCount,
      version: this.#version,
      // Sessions last up to twenty of them.
      tickTimeMs: 3000,
      extendedTypesEnabled: true,
      containerCheckMs: 3_600_000,
    });
  }
}

/** Longer than servers need among each other, in ms of the model's world. */
const waitMsMax = 1000;

/** A connection without a network: what one end sends is at the other at once. */
class ModelWire implements Wire {
  readonly #world: TestWorld;
  readonly #handler: LinkHandler;
  readonly #frames: Uint8Array[] = [];
  #isClosed = false;

  constructor(world: TestWorld, accept: (link: Link) => LinkHandler) {
    this.#world = world;
    this.#handler = accept(this.#newLink());
  }

  send(frame: Uint8Array): void {
    if (this.#isClosed) return;
    const bytes = new Uint8Array(4 + frame.length);
    new DataView(bytes.buffer).setInt32(0, frame.length);
    bytes.set(frame, 4);
    this.#handler.onData(bytes);
  }

  async next(): Promise<Uint8Array | undefined> {
    for (let waitedMs = 0; waitedMs < waitMsMax; waitedMs += 1) {
      if (this.#frames.length > 0 || this.#isClosed) break;
      await (waitedMs === 0 ? this.#world.settle() : this.#world.advance(1));
    }
    const frame = this.#frames.shift();
    if (frame === undefined && !this.#isClosed) throw new Error("the model does not answer");
    return frame;
  }

  drop(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#handler.onClosed(undefined);
  }

  /** The server's end. */
  #newLink(): Link {
    const close = (): void => void (this.#isClosed = true);
    return {
      peer: "127.0.0.1:1",
      queuedBytes: 0,
      // A server sends frame by frame.
      send: (bytes) => void this.#frames.push(bytes.slice(4)),
      pause: () => undefined,
      resume: () => undefined,
      end: close,
      destroy: close,
    };
  }
}
