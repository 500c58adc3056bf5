import { setTimeout as delay } from "node:timers/promises";

import { packets, type FieldTable, type PacketDefinition, type ValueOf } from "@everhold/wire";

import { Transcriber, type Observation } from "./packet-transcript.ts";
import { RawConnection, type RawFrame } from "./raw-core.ts";

/** One thing that a program does. */
export interface PacketStep {
  /** The step in words, for people. */
  readonly text: string;
  readonly run: (stage: PacketStage) => void | Promise<void>;
}

/** What serves one run of one program against one broker. */
export interface StageOptions {
  readonly port: number;
  /** What all names of the program begin with; it is taken out of what comes back. */
  readonly prefix: string;
  /** Silence that ends a step. */
  readonly quietMs: number;
}

/** How long a step waits for an answer that must come. */
const answerTimeoutMs = 20_000;

/**
 * Runs the steps of a program against one broker and notes what comes back. After each step it asks a
 * question on every open session, waits for the answers, and then for silence; so what a step causes is
 * noted with that step.
 */
export class PacketStage {
  readonly #options: StageOptions;
  readonly #connections = new Map<number, RawConnection>();
  /** Open sessions as `connection/channel`. */
  readonly #sessions = new Set<string>();
  /** The session that a connection asked for in this step. */
  readonly #opening = new Map<number, number>();
  /** Sessions that end in this step. */
  readonly #closing = new Set<string>();
  /** How many frames of `connection/channel` the step has to wait for. */
  readonly #awaited = new Map<string, number>();
  readonly #transcriber: Transcriber;
  #barrierCount = 0;

  constructor(options: StageOptions) {
    this.#options = options;
    this.#transcriber = new Transcriber(options.prefix);
  }

  /** One observation for each step. Connections are gone afterwards. */
  async run(steps: readonly PacketStep[]): Promise<Observation[]> {
    const observations: Observation[] = [];
    try {
      for (const step of steps) {
        await step.run(this);
        const isSettled = await this.#settle();
        const observation = this.#transcriber.observe(this.#connections, this.#closing);
        this.#closing.clear();
        observations.push(isSettled ? observation : { ...observation, settled: "no answer came" });
        this.#forgetClosedSessions();
      }
    } finally {
      for (const connection of this.#connections.values()) connection.destroy();
    }
    return observations;
  }

  /** Opens a connection. */
  async connect(connection: number, version: number): Promise<void> {
    this.#connections.set(connection, await RawConnection.open(this.#options.port, version));
  }

  /** Sends a packet. */
  send<T extends FieldTable>(
    connection: number,
    channelId: number,
    definition: PacketDefinition<number, T>,
    value: ValueOf<T>,
  ): void {
    this.#connections.get(connection)?.send(definition, channelId, value);
  }

  /** Sends bytes as they are. */
  write(connection: number, bytes: Uint8Array): void {
    this.#connections.get(connection)?.write(bytes);
  }

  /** Breaks a connection. */
  drop(connection: number): void {
    this.#connections.get(connection)?.destroy();
  }

  /** The step is not over before a frame has arrived on this channel. */
  await(connection: number, channelId: number): void {
    const key = `${connection}/${channelId}`;
    this.#awaited.set(key, (this.#awaited.get(key) ?? 0) + 1);
  }

  /** Once it is open, every step asks on this session whether everything before was handled. */
  sessionOpening(connection: number, channelId: number): void {
    this.#opening.set(connection, channelId);
  }

  /** The session says its last word in this step. */
  sessionClosing(connection: number, channelId: number): void {
    const key = `${connection}/${channelId}`;
    this.#closing.add(key);
    if (this.#sessions.delete(key)) this.await(connection, channelId);
  }

  /**
   * The id of a delivery of a consumer: the first is 0, the last −1. An id that nobody has when there was
   * no such delivery.
   */
  messageId(connection: number, channelId: number, consumerId: number, which: number): number {
    const ids = this.#transcriber.deliveredTo(connection, channelId, consumerId);
    return ids.at(which) ?? 9_007_199_254_740_000;
  }

  /** The id of what a consumer was given and has not settled: the oldest is 0, the newest −1. */
  heldId(
    connection: number,
    channelId: number,
    consumerId: number,
    which: number,
  ): number | undefined {
    return this.#transcriber.heldBy(connection, channelId, consumerId).at(which);
  }

  /** The consumer has settled this message; with `isCumulative` those before it too. */
  settled(
    connection: number,
    channelId: number,
    consumerId: number,
    messageId: number,
    isCumulative: boolean,
  ): void {
    const held = this.#transcriber.heldBy(connection, channelId, consumerId);
    const index = held.indexOf(messageId);
    if (index >= 0) held.splice(isCumulative ? 0 : index, isCumulative ? index + 1 : 1);
  }

  /** What consumers of the session held has gone back; only that of one consumer where it is given. */
  givenBack(connection: number, channelId: number, consumerId?: number): void {
    this.#transcriber.releaseHeld(connection, channelId, consumerId);
  }

  /** Lets time pass. */
  async wait(ms: number): Promise<void> {
    await delay(ms);
  }

  /** False when an answer that was due did not come. */
  async #settle(): Promise<boolean> {
    const barriers = new Map<string, string>();
    for (const key of this.#sessions) {
      const [connection = 0, channelId = 0] = key.split("/").map(Number);
      if (this.#connections.get(connection)?.isClosed !== false) continue;
      this.#barrierCount += 1;
      const queueName = `${this.#options.prefix}barrier${this.#barrierCount}`;
      barriers.set(key, queueName);
      this.send(connection, channelId, packets.queueQuery, { queueName });
    }
    const deadline = performance.now() + answerTimeoutMs;
    let isSettled = true;
    for (const [index, connection] of this.#connections) {
      while (!connection.isClosed && !this.#hasAnswered(index, connection, barriers)) {
        const left = deadline - performance.now();
        if (left <= 0) {
          isSettled = false;
          break;
        }
        await connection.activity(left);
      }
    }
    this.#awaited.clear();
    await this.#silence();
    for (const [index, channelId] of this.#opening) {
      const isOpen = this.#connections.get(index)?.frames.some(isSessionResponse) ?? false;
      if (isOpen) this.#sessions.add(`${index}/${channelId}`);
    }
    this.#opening.clear();
    return isSettled;
  }

  #hasAnswered(
    index: number,
    connection: RawConnection,
    barriers: ReadonlyMap<string, string>,
  ): boolean {
    for (const [key, count] of this.#awaited) {
      const [owner, channelId] = key.split("/").map(Number);
      if (owner !== index) continue;
      const found = connection.frames.filter((frame) => frame.channelId === channelId);
      if (found.length < count) return false;
    }
    for (const [key, name] of barriers) {
      const [owner, channelId] = key.split("/").map(Number);
      if (owner !== index) continue;
      const isAnswered = connection.frames.some(
        (frame) =>
          frame.channelId === channelId &&
          this.#transcriber.isAnswerAbout(frame, name, connection.version),
      );
      if (!isAnswered) return false;
    }
    return true;
  }

  /** Waits until nothing has come for a while, on any connection. */
  async #silence(): Promise<void> {
    for (;;) {
      const newest = Math.max(
        0,
        ...Array.from(this.#connections.values(), ({ activeMs }) => activeMs),
      );
      const left = newest + this.#options.quietMs - performance.now();
      if (left <= 0) return;
      await delay(left);
    }
  }

  #forgetClosedSessions(): void {
    for (const key of this.#sessions) {
      if (this.#connections.get(Number(key.split("/")[0]))?.isClosed !== false)
        this.#sessions.delete(key);
    }
  }
}

function isSessionResponse(frame: RawFrame): boolean {
  return frame.packetId === packets.createSessionResponse.id;
}
