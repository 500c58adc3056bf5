import { ByteReader, packetIdAt, packets, readMessage, readSend, SendFrame } from "@everhold/wire";
import type { DiskEvent } from "../disk/disk-machine.ts";
import { CountedSessions, type CountedSession } from "../network/counted-sessions.ts";
import { packetIn, type PassingFrame } from "../network/watching-network.ts";

/** The version in which our clients speak. */
const version = 136;

/** A durable send that has come and is not confirmed. */
interface OpenSend {
  readonly id: string;
  readonly commandId: number;
  readonly correlationId: number;
}

/**
 * Looks on at a broker's network and its disk: PACKETS_CONFIRMED, and what a session that comes back is told that the
 * broker has, must cover nothing that has not come, and no durable message that may not be on the disk yet.
 *
 * Our client loses nothing by a confirmation that comes too early: it believes answers only, and repeats what has
 * none. Java's clients tell the application by it that a send is safe, so it is a promise all the same, and an oracle
 * that asks our clients cannot see it broken.
 *
 * A message may be on the disk once a write to the log has ended that began after it came. Not looked at: sends in
 * transactions, large ones, those that want no answer, and what an earlier life of the broker has seen.
 */
export class ConfirmationWatch {
  readonly #onProblem: (text: string) => void;
  #sessions = new CountedSessions();
  #open = new WeakMap<CountedSession, OpenSend[]>();
  /** How many writes had begun when a message came first; −1 where that was in an earlier life of the broker. */
  readonly #writesBefore = new Map<string, number>();
  /** The number of a write that is under way, by where it is. */
  readonly #writes = new Map<string, number>();
  #writeCount = 0;
  #newestEnded = 0;
  #confirmedCount = 0;

  /** @param onProblem is told of each false confirmation */
  constructor(onProblem: (text: string) => void) {
    this.#onProblem = onProblem;
  }

  /** Durable messages whose confirmation was looked at. */
  get confirmedCount(): number {
    return this.#confirmedCount;
  }

  /** A write begins or ends on the broker's disk. */
  onDisk({ operation, phase, name, position }: DiskEvent): void {
    if (operation !== "write" || name.startsWith("snapshot")) return;
    const place = `${name} ${position}`;
    if (phase === "started") {
      this.#writeCount += 1;
      this.#writes.set(place, this.#writeCount);
      return;
    }
    this.#newestEnded = Math.max(this.#newestEnded, this.#writes.get(place) ?? 0);
    this.#writes.delete(place);
  }

  /** A frame passes the broker's network. */
  onFrame(frame: PassingFrame): void {
    if (frame.from === "client") this.#onClientFrame(frame);
    else this.#onBrokerFrame(frame);
  }

  /** The broker has ended. What it had been sent may be stored, and is not written again then. */
  onEnded(): void {
    this.#sessions = new CountedSessions();
    this.#open = new WeakMap();
    this.#writes.clear();
    for (const id of this.#writesBefore.keys()) this.#writesBefore.set(id, -1);
  }

  #onClientFrame(frame: PassingFrame): void {
    const counted = this.#sessions.fromClient(frame);
    if (counted === undefined || packetIdAt(frame.view, frame.start) !== packets.send.id) return;
    const { session, commandId } = counted;
    const { bytes, view, start, end } = frame;
    readSend(view, start, end, version, send);
    const reader = new ByteReader(bytes.subarray(send.messageStart, send.messageEnd));
    const { durable, properties } = readMessage(reader);
    const id = properties.get("id")?.value;
    if (!durable || !send.requiresResponse || !session.autoCommitSends) return;
    if (typeof id !== "string") return;
    if (!this.#writesBefore.has(id)) this.#writesBefore.set(id, this.#writeCount);
    const open = this.#open.get(session) ?? [];
    open.push({ id, commandId, correlationId: send.correlationId });
    this.#open.set(session, open);
  }

  #onBrokerFrame(frame: PassingFrame): void {
    if (packetIdAt(frame.view, frame.start) === packets.exception.id) this.#onRefused(frame);
    const confirmed = this.#sessions.fromBroker(frame);
    if (confirmed === undefined) return;
    const { session, commandId, arrivedCount } = confirmed;
    if (commandId >= arrivedCount) {
      this.#onProblem(`packet ${commandId} is confirmed, and ${arrivedCount} have come`);
    }
    const open = this.#open.get(session) ?? [];
    for (const each of open) if (each.commandId <= commandId) this.#onConfirmed(each.id);
    // When a session comes back the rest is sent again.
    const isReturn = frame.name === packets.reattachSessionResponse.name;
    const left = isReturn ? [] : open.filter((each) => each.commandId > commandId);
    this.#open.set(session, left);
  }

  #onConfirmed(id: string): void {
    this.#confirmedCount += 1;
    if (this.#newestEnded > (this.#writesBefore.get(id) ?? 0)) return;
    this.#onProblem(`the send of ${id} is confirmed, and no write has ended that can hold it`);
  }

  /** What was refused is confirmed, and never written. */
  #onRefused(frame: PassingFrame): void {
    const session = this.#sessions.sessionOf(frame);
    if (session === undefined) return;
    const { correlationId } = packetIn(packets.exception, frame);
    const open = this.#open.get(session) ?? [];
    this.#open.set(
      session,
      open.filter((each) => each.correlationId !== correlationId),
    );
  }
}

const send = new SendFrame();
