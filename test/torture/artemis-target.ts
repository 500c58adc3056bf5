import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { ArtemisPair } from "#artemis-pair";

import { CuttingProxy, type Way } from "./cutting-proxy.ts";
import type { TortureTarget } from "./target.ts";

/**
 * Where the brokers listen, and find each other. They announce themselves as `localhost`, to clients and to each other
 * alike: for clients that is 127.0.0.1, where the proxies have the same ports, and for themselves, by a file of
 * hosts, this. So nothing is cut between the two.
 */
const brokersHost = "127.0.0.3";

/** How long each of the two may take to be back, on a busy machine. */
const returnMs = 60_000;

/** Attempts to have both again after one was killed. */
const returnAttemptsMax = 3;

/** What is copied to a broker that comes back, while nobody is answered, is far less in small files than in large ones. */
const journalSettings = [
  ["journal-file-size", "2M"],
  ["journal-pool-files", "4"],
] as const;

/**
 * A live and a backup broker of Artemis 2.44 with replication. When the live one is killed the backup takes over; the
 * live one is started again at once, and takes over in its turn when it has everything, which takes several
 * seconds. Until then nothing is killed or stopped, for nobody could take over. Who does not come back by itself is
 * started again.
 */
export class ArtemisTarget implements TortureTarget {
  /** Longer than for our broker: each change of roles is seconds of silence, and is a disturbance beside the faults. */
  readonly peace = { minMs: 800, maxMs: 3_200 };
  readonly #folder: string;
  readonly #pair: ArtemisPair;
  readonly #live: CuttingProxy;
  readonly #backup: CuttingProxy;
  readonly #onProgress: (words: string) => void;
  #return: Promise<void> = Promise.resolve();
  #isReturning = false;
  #trouble: unknown;

  private constructor(
    folder: string,
    pair: ArtemisPair,
    proxies: { readonly live: CuttingProxy; readonly backup: CuttingProxy },
    onProgress: (words: string) => void,
  ) {
    this.#folder = folder;
    this.#pair = pair;
    this.#live = proxies.live;
    this.#backup = proxies.backup;
    this.#onProgress = onProgress;
  }

  /** Both are started, as they cannot be made without. What they say is left in `folder` at the end. */
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
      // They live for seconds: better code later is not worth the time it takes to make.
      javaArguments: `-XX:TieredStopAtLevel=1 -Djdk.net.hosts.file=${hostsFile}`,
      // However often a message was in somebody's hands when these were cut off, it stays in its queue.
      addressSettings: "<max-delivery-attempts>-1</max-delivery-attempts>",
      brokerXml: (xml) =>
        withJournalSettings(
          xml.replace(/(<connector name="artemis">tcp:\/\/)[^:]*/, "$1localhost"),
        ),
    });
    await proxies.live.accept(proxies.live.port);
    await proxies.backup.accept(proxies.backup.port);
    return new ArtemisTarget(folder, pair, proxies, onProgress);
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
    if (!this.isWhole) return;
    for (const role of ["live", "backup"] as const) {
      const { isAlive, log } = this.#pair[role];
      if (!isAlive) throw new Error(`the ${role} broker ended by itself\n${log.slice(-4_000)}`);
    }
  }

  async kill(): Promise<void> {
    await this.#pair.killLive();
    await this.#live.refuse();
    await this.#pair.backupServes();
    this.#onProgress("the backup has taken over");
    this.#isReturning = true;
    this.#return = this.#failBack().catch((error: unknown) => {
      this.#trouble = error;
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

  drop(chosen: () => boolean, way: Way): void {
    this.#live.drop(chosen, way);
    this.#backup.drop(chosen, way);
  }

  delay(chosen: () => boolean, delayMs: number): void {
    this.#live.delay(chosen, delayMs);
    this.#backup.delay(chosen, delayMs);
  }

  async rest(): Promise<void> {
    await this.#return;
    this.assertAlive();
  }

  async end(): Promise<void> {
    await this.#return;
    this.#live.stop();
    this.#backup.stop();
    const { live, backup } = this.#pair;
    writeFileSync(join(this.#folder, "live.log"), live.log);
    writeFileSync(join(this.#folder, "backup.log"), backup.log);
    await this.#pair[Symbol.asyncDispose]();
  }

  async #failBack(): Promise<void> {
    const onServing = (): Promise<void> => this.#live.accept(this.#pair.live.port);
    for (let attempt = 1; ; attempt += 1) {
      try {
        if (attempt === 1) await this.#pair.failBack(returnMs, onServing);
        else await this.#pair.repair(returnMs, onServing);
        break;
      } catch (error) {
        // Artemis' backup sometimes ends where it should have begun anew.
        if (attempt < returnAttemptsMax)
          this.#onProgress("not both are back: who is missing is started again");
        else return this.#goOnWithOne(error);
      }
    }
    this.#onProgress("the live broker is back");
    this.#isReturning = false;
  }

  /** @throws the `error` for which there are no two, where there is not even one */
  async #goOnWithOne(error: unknown): Promise<void> {
    const { live, backup } = this.#pair;
    if (!(await live.serves()) && !(await backup.serves())) throw error;
    this.#onProgress("one broker serves alone: from here on nothing but cuts");
  }
}

function withJournalSettings(xml: string): string {
  return journalSettings.reduce(
    (text, [name, value]) =>
      text.replace(new RegExp(`(<${name}>)[^<]*`), (_, open: string) => `${open}${value}`),
    xml,
  );
}
