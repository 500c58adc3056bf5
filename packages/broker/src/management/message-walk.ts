import { deferred, EverholdError } from "@everhold/base";
import type { RecordView } from "@everhold/journal";

import type { LiveQueue } from "../engine/live-queue.ts";
import { limits as brokerLimits } from "../limits.ts";
import { parseFilter, type Selector } from "../selector/selector.ts";
import { createRowView, type RowView } from "../state/row-bodies.ts";
import { laneCountMax, laneOfKey, sequenceOfKey } from "../state/row-key.ts";
import { ScanCursor } from "../state/scan-cursor.ts";
import { limits } from "./limits.ts";
import type { ManagedQueue } from "./managed-broker.ts";
import type { ManagementValue, Outcome } from "./operation.ts";

/** One message on the way; it is valid until the visitor returns. */
export interface VisitedMessage {
  readonly key: number;
  readonly row: RowView;
  /** The message `MSG`, where the walk reads messages: at `offset`, of `row.messageLength` bytes. */
  readonly body: RecordView;
}

/** What a walk looks at. */
export interface WalkOptions {
  /** Only messages that this filter selects; empty or `null` for all. */
  readonly filter?: string | null;
  /** Whether the visitor needs the messages themselves, and not only what the queue knows of them. */
  readonly readsMessages?: boolean;
  /** Only the message of this id, which costs no reading of others. */
  readonly messageId?: number;
  /** Only the messages of these row keys. */
  readonly keys?: { has(key: number): boolean };
  /** Called whenever the walk lets others run, and at its end: what was put off is done then. */
  readonly atStepEnd?: () => void;
  /** Which messages: those that could be handed out, these and the scheduled ones, or all. */
  readonly which: "ready" | "resting" | "all";
}

/**
 * Shows a visitor the messages that a queue holds at the start, and gives then what `result` says. The visitor may remove or move what it is shown; it ends the walk with `false`. A long walk goes
 * on in later turns, and one whose messages are on the disk waits for them: then the outcome is a promise.
 *
 * @throws EverholdError EVH_INVALID_FILTER
 */
export function walkMessages(
  target: ManagedQueue,
  options: WalkOptions,
  visit: (message: VisitedMessage) => boolean | void,
  result: () => ManagementValue,
): Outcome {
  const walk = new MessageWalk(target, options, visit);
  walk.begin();
  if (walk.state === "failed") throw walk.failure;
  return walk.state === "ended" ? result() : walk.ended().then(result);
}

const emptyBytes = new Uint8Array(0);

/** begin ──▶ walking ──▶ ended or failed; from `walking` in steps, one a turn or one a read. */
class MessageWalk {
  state: "walking" | "ended" | "failed" = "walking";
  failure: EverholdError | undefined;
  readonly #target: ManagedQueue;
  readonly #queue: LiveQueue;
  readonly #which: WalkOptions["which"];
  readonly #selector: Selector | undefined;
  readonly #readsMessages: boolean;
  readonly #messageId: number | undefined;
  readonly #keys: WalkOptions["keys"];
  readonly #atStepEnd: () => void;
  readonly #visit: (message: VisitedMessage) => boolean | void;
  readonly #cursor = new ScanCursor();
  readonly #row = createRowView();
  readonly #body: RecordView = {
    bytes: emptyBytes,
    view: new DataView(emptyBytes.buffer),
    offset: 0,
  };
  readonly #done = deferred<undefined>();
  /** For each lane the sequence that the next message will get: from there on messages came later. */
  readonly #ends: readonly number[];

  constructor(
    target: ManagedQueue,
    options: WalkOptions,
    visit: (message: VisitedMessage) => boolean | void,
  ) {
    this.#target = target;
    this.#queue = target.queue;
    this.#which = options.which;
    this.#selector = parseFilter(options.filter ?? null);
    this.#readsMessages = options.readsMessages === true || this.#selector !== undefined;
    this.#messageId = options.messageId;
    this.#keys = options.keys;
    this.#atStepEnd = options.atStepEnd ?? (() => {});
    this.#visit = visit;
    const { state } = target.queue;
    this.#ends = Array.from({ length: laneCountMax }, (_, lane) =>
      sequenceOfKey(state.nextKey(lane)),
    );
  }

  /** The first step, within that of the caller. */
  begin(): void {
    this.#walk();
  }

  /** Settles at the end. @throws EverholdError */
  async ended(): Promise<void> {
    await this.#done.promise;
    if (this.failure !== undefined) throw this.failure;
  }

  #walk(): void {
    const { engine } = this.#target.broker;
    for (let count = 0; count < limits.rowsPerStep; count += 1) {
      if (engine.isHalted) {
        this.#fail(
          new EverholdError("EVH_CLOSED", "the broker stops, and what was asked is not done"),
        );
        return;
      }
      const key = this.#queue.isDeleted ? -1 : this.#next();
      if (key < 0) {
        this.#end("ended");
        return;
      }
      if (this.#keys?.has(key) === false) continue;
      this.#queue.state.read(key, this.#row);
      if (this.#messageId !== undefined && this.#row.messageId !== this.#messageId) continue;
      if (this.#readsMessages && !this.#locate()) {
        this.#atStepEnd();
        this.#load(key);
        return;
      }
      if (!this.#show(key)) return;
    }
    this.#atStepEnd();
    const { timers } = this.#target.broker.ports;
    const goOn = (): void => {
      this.#walk();
      engine.endStep();
    };
    // Like producers, it waits while the journal cannot keep up.
    const isFull = engine.journal.stagedBytes > brokerLimits.stagedHighBytes;
    if (isFull) timers.after(limits.walkPauseMs, goOn);
    else timers.atTurnEnd(goOn);
  }

  #next(): number {
    for (;;) {
      const key = this.#scan();
      const lane = laneOfKey(key);
      if (key < 0 || sequenceOfKey(key) < (this.#ends[lane] ?? 0)) return key;
      this.#cursor.passLane(lane);
    }
  }

  #scan(): number {
    const { journal } = this.#target.broker.engine;
    const { state } = this.#queue;
    if (this.#which === "resting") return state.scanResting(this.#cursor, journal.commitPosition);
    return state.scan(this.#cursor, journal.commitPosition, this.#which === "all");
  }

  /** Shows one message, if it is wanted; false when the walk is over. */
  #show(key: number): boolean {
    const { bytes, view, offset } = this.#body;
    const end = offset + this.#row.messageLength;
    const moved = this.#queue.provenanceOf(this.#row);
    if (this.#selector?.matches(bytes, view, offset, end, moved) === false) return true;
    try {
      if (this.#visit({ key, row: this.#row, body: this.#body }) !== false) return true;
      this.#end("ended");
    } catch (error) {
      if (!EverholdError.is(error)) throw error;
      this.#fail(error);
    }
    return false;
  }

  /** Sets `#body`; false when the message must be read from the disk first. */
  #locate(): boolean {
    const { engine } = this.#target.broker;
    const { isInJournal, position, messageOffset, messageLength } = this.#row;
    if (isInJournal) {
      return engine.journal.locate(position + messageOffset, messageLength, this.#body);
    }
    engine.state.arena.locate(position, this.#body);
    return true;
  }

  #load(key: number): void {
    const { engine } = this.#target.broker;
    const { position, messageOffset, messageLength } = this.#row;
    engine.journal.read(position + messageOffset, messageLength, (error, bytes, view, offset) => {
      if (error !== undefined && error.code !== "EVH_CLOSED") this.#fail(error);
      else {
        this.#body.bytes = bytes;
        this.#body.view = view;
        this.#body.offset = offset;
        // It may have gone while it was read.
        const isThere = error === undefined && !this.#queue.isDeleted && this.#isStill(key);
        if (!isThere || this.#show(key)) this.#walk();
      }
      engine.endStep();
    });
  }

  #isStill(key: number): boolean {
    const { state } = this.#queue;
    if (!state.read(key, this.#row)) return false;
    if (this.#which === "all") return true;
    return state.isReady(key) || (this.#which === "resting" && state.isScheduled(key));
  }

  #fail(error: EverholdError): void {
    this.failure = error;
    this.#end("failed");
  }

  #end(state: "ended" | "failed"): void {
    const { engine } = this.#target.broker;
    if (!this.#queue.isDeleted && !engine.isHalted) this.#atStepEnd();
    this.state = state;
    this.#done.resolve(undefined);
  }
}
