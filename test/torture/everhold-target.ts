import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { CuttingProxy, type Way } from "./cutting-proxy.ts";
import type { TortureTarget } from "./target.ts";
import { TortureBroker } from "./torture-broker.ts";

/** A broker of ours that comes back on its data. */
export class EverholdTarget implements TortureTarget {
  readonly isWhole = true;
  readonly peace = { minMs: 200, maxMs: 1_500 };
  readonly #broker: TortureBroker;
  readonly #proxy: CuttingProxy;

  private constructor(broker: TortureBroker, proxy: CuttingProxy) {
    this.#broker = broker;
    this.#proxy = proxy;
  }

  /** With its data in `folder`; it is not started yet. */
  static async make(folder: string): Promise<EverholdTarget> {
    const config = join(folder, "broker.json");
    // However often a message was in somebody's hands when these were cut off, it stays in its queue.
    const addressSettings = { "#": { maxDeliveryAttempts: -1 } };
    writeFileSync(config, JSON.stringify({ addressSettings }));
    const broker = new TortureBroker(join(folder, "data"), config);
    return new EverholdTarget(broker, await CuttingProxy.start());
  }

  get loadUrls(): readonly string[] {
    return [`tcp://127.0.0.1:${this.#proxy.port}`];
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.#broker.port}`;
  }

  async start(): Promise<void> {
    await this.#broker.start();
    await this.#proxy.accept(this.#broker.port);
  }

  assertAlive(): void {
    this.#broker.assertAlive();
  }

  async kill(durationMs: number): Promise<void> {
    await this.#broker.kill();
    await this.#proxy.refuse();
    await pause(durationMs);
    await this.start();
  }

  stop(): void {
    this.#broker.stop();
  }

  goOn(): void {
    this.#broker.goOn();
  }

  cut(chosen: () => boolean, bytes: number): void {
    this.#proxy.cut(chosen, bytes);
  }

  drop(chosen: () => boolean, way: Way): void {
    this.#proxy.drop(chosen, way);
  }

  delay(chosen: () => boolean, delayMs: number): void {
    this.#proxy.delay(chosen, delayMs);
  }

  rest(): Promise<void> {
    return Promise.resolve();
  }

  async end(): Promise<void> {
    this.#proxy.stop();
    await this.#broker.end();
  }
}
