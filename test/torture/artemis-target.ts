import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { ArtemisPair } from "#artemis-pair";

import { CuttingProxy } from "./cutting-proxy.ts";
import type { TortureTarget } from "./target.ts";

/**
 * Where the brokers listen, and find each other. They announce themselves as `localhost`, to clients and to each other
 * alike: for clients that is 127.0.0.1, where the proxies have the same ports, and for themselves, by a file of
 * hosts, this. So nothing is cut between the two.
 */
const brokersHost = "127.0.0.3";

/**
 * A live and a backup broker of Artemis 2.44 with replication. When the live one is killed the backup takes over; the
 * live one is started again at once, and takes over in its turn when it has everything, which takes several
 * seconds. Until then nothing is killed or stopped, for nobody could take over.
 */
export class ArtemisTarget implements TortureTarget {
  readonly #pair: ArtemisPair;
  readonly #live: CuttingProxy;
  readonly #backup: CuttingProxy;
  readonly #onProgress: (words: string) => void;
  #return: Promise<void> = Promise.resolve();
  #isReturning = false;
  #trouble: unknown;

  private constructor(
    pair: ArtemisPair,
    proxies: { readonly live: CuttingProxy; readonly backup: CuttingProxy },
    onProgress: (words: string) => void,
  ) {
    this.#pair = pair;
    this.#live = proxies.live;
    this.#backup = proxies.backup;
    this.#onProgress = onProgress;
  }

  /** Both are started, as they cannot be made without. */
  static async make(folder: string, onProgress: (words: string) => void): Promise<ArtemisTarget> {
    const hostsFile = join(folder, "hosts");
    writeFileSync(hostsFile, `${brokersHost} localhost\n`);
    const proxies = {
      live: await CuttingProxy.start(brokersHost),
      backup: await CuttingProxy.start(brokersHost),
    };
    const pair = await ArtemisPair.start({
      ports: { live: proxies.live.port, backup: proxies.backup.port },
      host: brokersHost,
      javaArguments: `-Djdk.net.hosts.file=${hostsFile}`,
      // However often a message was in somebody's hands when these were cut off, it stays in its queue.
      addressSettings: "<max-delivery-attempts>-1</max-delivery-attempts>",
      brokerXml: (xml) => xml.replace(/(<connector name="artemis">tcp:\/\/)[^:]*/, "$1localhost"),
    });
    await proxies.live.accept(proxies.live.port);
    await proxies.backup.accept(proxies.backup.port);
    return new ArtemisTarget(pair, proxies, onProgress);
  }

  get loadUrls(): readonly string[] {
    return [this.#live, this.#backup].map(({ port }) => `tcp://127.0.0.1:${port}`);
  }

  get url(): string {
    return this.#pair.url;
  }

  get isWhole(): boolean {
    return !this.#isReturning;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  assertAlive(): void {
    if (this.#trouble !== undefined) throw this.#trouble;
    for (const broker of [this.#pair.live, this.#pair.backup]) {
      if (broker.isAlive || !this.isWhole) continue;
      throw new Error(`a broker ended by itself: ${broker.log.slice(-4_000)}`);
    }
  }

  async kill(): Promise<void> {
    await this.#pair.killLive();
    await this.#live.refuse();
    await this.#pair.backupServes();
    this.#onProgress("the backup has taken over");
    this.#isReturning = true;
    this.#return = this.#failBack().catch((error: unknown) => {
      // Artemis' backup sometimes ends where it should have begun anew; the live one serves without it.
      if (!this.#pair.live.isAlive) this.#trouble = error;
      else this.#onProgress("the backup has not come back: from here on nothing but cuts");
    });
  }

  stop(): void {
    this.#pair.live.standStill();
  }

  goOn(): void {
    this.#pair.live.goOn();
  }

  cut(chosen: () => boolean, bytes: number): void {
    this.#live.cut(chosen, bytes);
    this.#backup.cut(chosen, bytes);
  }

  async rest(): Promise<void> {
    await this.#return;
    this.assertAlive();
  }

  async end(): Promise<void> {
    await this.#return;
    this.#live.stop();
    this.#backup.stop();
    await this.#pair[Symbol.asyncDispose]();
  }

  async #failBack(): Promise<void> {
    await this.#live.accept(this.#pair.live.port);
    await this.#pair.failBack();
    this.#onProgress("the live broker is back");
    this.#isReturning = false;
  }
}
