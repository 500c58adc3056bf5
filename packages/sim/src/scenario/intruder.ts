import type { Link, LinkHandler, Ports } from "@everhold/env";
import {
  ByteWriter,
  encodePacket,
  FrameReader,
  magicBytes,
  packetIdAt,
  packets,
} from "@everhold/wire";
import { packetIn, type PassingFrame } from "../network/watching-network.ts";
import type { Machine } from "../world/machine.ts";
import type { World } from "../world/world.ts";
import type { Accounts } from "./accounts.ts";
import { brokerHost, brokerPort } from "./everhold.ts";

/** The version in which it speaks. */
const version = 136;
const channelId = 10;
/** Of so many sessions it remembers the names. */
const nameCountMax = 30;
/** A broker has so long to answer, in ms; checks of passwords may take 12 s. */
const patienceMs = 20_000;

/** How an {@link Intruder} is made. */
export interface IntruderOptions {
  readonly world: World;
  readonly machine: Machine;
  readonly accounts: Accounts;
}

/**
 * A user of the broker who has overheard the names of others' sessions: logs in by its own name, and wants to go on
 * with theirs. It must be told that there is none to take up again; what it resumes all the same must do no harm,
 * which shows where the others are.
 */
export class Intruder {
  readonly #options: IntruderOptions;
  readonly #ports: Ports;
  readonly #overheard: string[] = [];
  #link: Link | undefined;
  #isStopped = false;
  #attemptCount = 0;
  #refusedCount = 0;

  constructor(options: IntruderOptions) {
    this.#options = options;
    this.#ports = options.machine.start();
  }

  /** How often it was told that a session of somebody else is not to be had. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  /** A frame passes the broker's network. */
  onFrame(frame: PassingFrame): void {
    if (frame.name !== packets.createSessionV2.name) return;
    const created = packetIn(packets.createSessionV2, frame);
    if (created.username === this.#name) return;
    this.#overheard.push(created.name);
    if (this.#overheard.length > nameCountMax) this.#overheard.shift();
  }

  /** Tries one session after the other until it is stopped. */
  start(): void {
    const { world } = this.#options;
    const prng = world.randomFor("intruder");
    const next = (): void => {
      if (this.#isStopped) return;
      const wanted = this.#overheard[prng.integer(0, this.#overheard.length - 1)];
      if (wanted !== undefined && this.#link === undefined) this.#attempt(wanted);
      this.#ports.timers.after(prng.fraction() * 1_500, next);
    };
    next();
  }

  /** Leaves for good. */
  stop(): void {
    this.#isStopped = true;
    this.#link?.destroy();
  }

  get #name(): string {
    return this.#options.machine.name;
  }

  #attempt(wanted: string): void {
    this.#ports.network.connect(
      { host: brokerHost, port: brokerPort },
      {
        onConnected: (link) => {
          this.#link = link;
          this.#ports.timers.after(patienceMs, () => link.destroy());
          this.#logIn(link).catch(() => {
            // The password is not to be had just now.
            link.destroy();
          });
          return this.#handler(link, wanted);
        },
        onFailed: () => undefined,
      },
    );
  }

  async #logIn(link: Link): Promise<void> {
    this.#attemptCount += 1;
    const { password } = this.#options.accounts.credentials(this.#name, this.#ports);
    const given = typeof password === "function" ? await password() : (password ?? null);
    const writer = new ByteWriter();
    writer.raw(magicBytes, 0, magicBytes.length);
    const creation = {
      name: `${this.#name}-${this.#attemptCount}`,
      sessionChannelId: channelId,
      version,
      username: this.#name,
      password: given,
      minLargeMessageSize: 100_000,
      xa: false,
      autoCommitSends: true,
      autoCommitAcks: true,
      confirmationWindowSize: -1,
      preAcknowledge: false,
      defaultAddress: null,
      clientId: null,
    };
    encodePacket(writer, packets.createSessionV2, 1, creation, version);
    link.send(writer.toBytes());
  }

  #handler(link: Link, wanted: string): LinkHandler {
    const frames = new FrameReader();
    const sink = {
      onFrame: (bytes: Uint8Array, view: DataView, start: number, end: number): boolean => {
        this.#onPacket(link, wanted, packetIdAt(view, start), () =>
          packetIn(packets.reattachSessionResponse, { bytes, start, end }),
        );
        return true;
      },
    };
    return {
      onData: (bytes) => frames.push(bytes, sink),
      onSent: () => undefined,
      onDrained: () => undefined,
      onClosed: () => {
        if (this.#link === link) this.#link = undefined;
      },
    };
  }

  #onPacket(
    link: Link,
    wanted: string,
    id: number,
    answer: () => { readonly reattached: boolean },
  ): void {
    const writer = new ByteWriter();
    switch (id) {
      case packets.createSessionResponse.id:
        encodePacket(
          writer,
          packets.reattachSession,
          1,
          { name: wanted, lastConfirmedCommandId: -1 },
          version,
        );
        link.send(writer.toBytes());
        return;
      case packets.reattachSessionResponse.id: {
        if (answer().reattached) this.#fail(`took up ${wanted}, which is another user's`);
        this.#refusedCount += 1;
        const claim = { correlationId: 1, oldSession: wanted, isLast: false, hasCommit: false };
        const nothing = { commit: null, settlements: [], reasons: [] };
        encodePacket(writer, packets.resume, channelId, { ...claim, ...nothing }, version);
        link.send(writer.toBytes());
        return;
      }
      case packets.resumed.id:
      case packets.exception.id:
        link.destroy();
        return;
      default:
    }
  }

  #fail(what: string): void {
    this.#options.world.fail(this.#name, new Error(`${this.#name} ${what}`));
  }
}
