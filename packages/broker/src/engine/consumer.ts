import type { Selector } from "../selector/selector.ts";
import { ScanCursor } from "../state/scan-cursor.ts";
import { AwaitedMarkers } from "./awaited-markers.ts";
import { Deliveries } from "./deliveries.ts";
import type { LiveQueue } from "./live-queue.ts";
import type { Session } from "./session.ts";

/** What a consumer is made with. */
export interface ConsumerOptions {
  readonly id: number;
  readonly selector: Selector | undefined;
  readonly isBrowser: boolean;
  readonly priority: number;
}

/** One consumer of one queue. */
export class Consumer {
  readonly session: Session;
  readonly queue: LiveQueue;
  readonly id: number;
  readonly selector: Selector | undefined;
  readonly isBrowser: boolean;
  readonly priority: number;
  readonly deliveries = new Deliveries();
  /** How many of them there were when the client last came back. */
  countAtReturn = 0;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** Messages it was handed, and those of them that its client settled; for people to see. */
  deliveredCount = 0;
  acknowledgedCount = 0;
  /**
   * Where it looks next, if it is a browser or has a filter, or where messages of the queue are not for
   * everybody; others take the head of the queue.
   */
  cursor: ScanCursor | undefined;
  /** It acknowledges without taking away: each such consumer sees all messages. */
  readonly readsOnly: boolean;
  /** Where `readsOnly`: keys of messages that came back, and are handed out again before others. */
  recalled: number[] = [];
  readonly awaitedMarkers = new AwaitedMarkers();
  /** Bytes that may still be delivered; one delivery may make it negative. */
  credits = 0;
  isUnlimited = false;
  isClosed = false;
  /** A large message is on its way: nothing else is given to it meanwhile. */
  isInLarge = false;
  /** Its filter has not seen the whole queue yet; the pump goes on in the next turn. */
  isScanUnfinished = false;

  constructor(session: Session, queue: LiveQueue, options: ConsumerOptions) {
    this.session = session;
    this.queue = queue;
    this.id = options.id;
    this.selector = options.selector;
    this.isBrowser = options.isBrowser;
    this.priority = options.priority;
    this.createdMs = session.engine.nowMs();
    this.readsOnly = !options.isBrowser && queue.traits.isNonDestructive;
    const looksFurther = options.isBrowser || options.selector !== undefined || this.readsOnly;
    this.cursor = looksFurther || queue.groups !== undefined ? new ScanCursor() : undefined;
  }

  /** Whether it may be given a message as far as credits and the session's state go. */
  get isReady(): boolean {
    if (this.isInLarge) return false;
    if (!this.isUnlimited && this.credits <= 0) return false;
    return this.isBrowser || this.session.isStarted;
  }

  /** Adds credits: −1 lifts the limit, 0 sets them to zero. */
  addCredits(bytes: number): void {
    if (bytes === -1) this.isUnlimited = true;
    else if (bytes === 0) this.credits = 0;
    else this.credits = Math.min(this.credits + bytes, Number.MAX_SAFE_INTEGER);
  }
}
