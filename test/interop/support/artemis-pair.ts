import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "#free-port";

import { ArtemisBroker, type ArtemisOptions } from "./artemis-broker.ts";

/** What a backup says when it has all that the live broker has, and when it has taken over. */
const words = { synchronized: "AMQ221024", serves: "AMQ221020" } as const;

/** How long a change of roles may take on a busy machine, in ms. */
const changeMs = 120_000;

const clusterArguments = (host: string, other: number): string[] => [
  ...["--clustered", "--replicated", "--staticCluster", `tcp://${host}:${other}`],
  ...["--cluster-user", "cluster", "--cluster-password", "cluster"],
];

/** How the two differ from what `artemis create` makes. */
export interface ArtemisPairOptions extends Pick<
  ArtemisOptions,
  "host" | "javaArguments" | "addressSettings" | "journal" | "heap"
> {
  /** Default: free ones. */
  readonly ports?: { readonly live: number; readonly backup: number };
  /** What is to be changed in `broker.xml` besides. */
  readonly brokerXml?: (xml: string, role: "live" | "backup") => string;
}

/**
 * A real live and backup pair of Artemis with replication: what the live broker has answered, the backup has. When the
 * live one is killed the backup serves; when it comes back it takes over again.
 */
export class ArtemisPair implements AsyncDisposable {
  readonly live: ArtemisBroker;
  readonly backup: ArtemisBroker;
  /** What the backup had written by then. */
  #killedAt = 0;

  private constructor(live: ArtemisBroker, backup: ArtemisBroker) {
    this.live = live;
    this.backup = backup;
  }

  /** Makes both, and returns when the backup has what the live one has. */
  static async start(options: ArtemisPairOptions = {}): Promise<ArtemisPair> {
    const ports = options.ports ?? { live: await freePort(), backup: await freePort() };
    const { brokerXml = (xml): string => xml, ...others } = options;
    const { host = "127.0.0.1" } = options;
    const live = await ArtemisBroker.start({
      port: ports.live,
      heap: "256M",
      ...others,
      create: ["--name", "live", ...clusterArguments(host, ports.backup)],
      // Nobody else is there who could vote, and who comes back must look for a backup that serves.
      brokerXml: (xml) =>
        brokerXml(xml, "live")
          .replace("<primary>", "<primary><check-for-active-server>true</check-for-active-server>")
          .replace(/(<vote-on-replication-failure>)true/, "$1false"),
    });
    let backup: ArtemisBroker | undefined;
    try {
      backup = await ArtemisBroker.start({
        port: ports.backup,
        heap: "256M",
        ...others,
        create: ["--name", "backup", "--backup", ...clusterArguments(host, ports.live)],
        startedWord: words.synchronized,
        brokerXml: (xml) =>
          brokerXml(xml, "backup").replace(
            "<backup/>",
            "<backup><allow-failback>true</allow-failback></backup>",
          ),
      });
    } catch (error) {
      await live[Symbol.asyncDispose]();
      throw error;
    }
    return new ArtemisPair(live, backup);
  }

  /** Both, the live one first, as our client and Java's are told. */
  get url(): string {
    return `(${this.live.url},${this.backup.url})`;
  }

  /** Ends the live broker at once, and returns when the backup serves. */
  async failOver(): Promise<void> {
    await this.killLive();
    await this.backupServes();
  }

  /** Ends the live broker at once. */
  async killLive(): Promise<void> {
    this.#killedAt = this.backup.log.length;
    await this.live.kill();
  }

  /** Returns when the backup serves, after the live broker was killed. */
  async backupServes(): Promise<void> {
    await this.#backupSays(words.serves, this.#killedAt);
  }

  /**
   * Starts the live broker again, and returns when it serves, which `onServing` is told, and the backup has what
   * it has.
   */
  async failBack(limitMs = changeMs, onServing?: () => Promise<void>): Promise<void> {
    const { length } = this.backup.log;
    await this.live.start(limitMs);
    await onServing?.();
    await this.#backupSays(words.synchronized, length, limitMs);
  }

  /**
   * After a {@link failBack} that did not come about: starts whoever does not serve once more, and returns when both
   * have everything.
   *
   * @throws Error when that did not come about either
   */
  async repair(limitMs = changeMs, onServing?: () => Promise<void>): Promise<void> {
    if (!(await this.live.serves())) {
      await this.live.kill();
      await this.failBack(limitMs, onServing);
    } else {
      await this.backup.kill();
      await this.backup.start(limitMs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.live[Symbol.asyncDispose]();
    await this.backup[Symbol.asyncDispose]();
  }

  async #backupSays(word: string, since: number, limitMs = changeMs): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (!this.backup.log.includes(word, since)) {
      // One that has ended says nothing any more.
      if (!this.backup.isAlive || performance.now() > deadline) {
        throw new Error(`the backup never said ${word}:\n${this.backup.log.slice(-4000)}`);
      }
      await delay(20);
    }
  }
}
