type RecreationState = "between" | "queue" | "consumer" | "credited" | "failed" | "over";

/** What the exclusion of re-creation packets needs to know of a packet. */
export type RecreationStep =
  | "createQueue"
  | "createConsumer"
  | "credits"
  | "forceDelivery"
  | "transactionFailed"
  | "start"
  | "other";

/**
 * Counts the packets of one session for its confirmation window.
 * A packet is counted when its effect is committed, failed ones included, so that both ends agree.
 */
export class Confirmations {
  /** Bytes after which a confirmation is due; −1 when the session has no window. */
  readonly windowBytes: number;
  #lastHandled = -1;
  #lastSent = -1;
  #bytes = 0;

  constructor(windowBytes: number) {
    this.windowBytes = windowBytes;
  }

  /** One more packet of `frameBytes` has been handled. True when a confirmation is due. */
  count(frameBytes: number): boolean {
    this.#lastHandled += 1;
    this.#bytes += frameBytes;
    return this.#bytes >= this.windowBytes;
  }

  /** How many packets have been handled. */
  get handledCount(): number {
    return this.#lastHandled + 1;
  }

  /** Whether packets were handled that no confirmation covers yet. */
  get pending(): boolean {
    return this.windowBytes >= 0 && this.#lastHandled > this.#lastSent;
  }

  /** The command id to put into PACKETS_CONFIRMED; what was pending is so no more. */
  take(): number {
    this.#bytes = 0;
    this.#lastSent = this.#lastHandled;
    // A signed word on the wire: after 2^31 packets the ids go on below zero.
    return this.#lastHandled | 0;
  }
}

/**
 * Tells the packets that a Java client sends, unrecorded, while it re-creates a session, from those it
 * records. Counting the former would confirm sends that never arrived.
 *
 * ```
 * (CREATE_QUEUE[rr=0]? CREATECONSUMER[rr=0] FLOWTOKEN FORCE_DELIVERY?)* XA_FAILED? START?
 *
 *   between ──CREATE_QUEUE──▶ queue ──CREATECONSUMER──▶ consumer ──FLOWTOKEN──▶ credited
 *      ▲  └────────────────CREATECONSUMER──────────────────▲                      │
 *      └──────────────────────── FORCE_DELIVERY ─────────────────────────────────┤ (or as between)
 *   between, credited ──XA_FAILED──▶ failed;  between, credited, failed ──START──▶ over
 * ```
 */
export class RecreationGrammar {
  #state: RecreationState = "between";
  #isAmbiguous = false;

  /** Whether the session's next packet belongs to the re-creation and must not be counted. */
  excludes(step: RecreationStep): boolean {
    const before = this.#state;
    this.#state = this.#next(step);
    // START ends the re-creation and still belongs to it.
    const isItsStart =
      step === "start" && before !== "over" && before !== "queue" && before !== "consumer";
    const isExcluded = this.#state !== "over" || isItsStart;
    if (isExcluded && (step === "start" || step === "forceDelivery")) this.#isAmbiguous = true;
    return isExcluded;
  }

  /**
   * Whether a packet was excluded that the client may have recorded after all: where the session was not
   * started when it was re-created, the first START of the application looks the same. Then both sides may
   * count differently, and the session must never be taken up again.
   */
  get isAmbiguous(): boolean {
    return this.#isAmbiguous;
  }

  /** Whether everything from here on is counted. */
  get isOver(): boolean {
    return this.#state === "over";
  }

  #next(step: RecreationStep): RecreationState {
    switch (this.#state) {
      case "between":
      case "credited":
        if (step === "createQueue") return "queue";
        if (step === "createConsumer") return "consumer";
        if (step === "forceDelivery" && this.#state === "credited") return "between";
        return step === "transactionFailed" ? "failed" : "over";
      case "queue":
        return step === "createConsumer" ? "consumer" : "over";
      case "consumer":
        return step === "credits" ? "credited" : "over";
      case "failed":
      case "over":
        return "over";
    }
  }
}
