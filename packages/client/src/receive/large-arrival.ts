import { ConnectionError, EverholdError } from "@everhold/base";
import type { ReceivedMessage } from "./received-message.ts";

/**
 * The large message that is on its way to one consumer. Either its parts are put together before it is
 * handed out, and only counted here, or it was handed out as it began, and they go to its reader.
 *
 *     none ──addPart()──> in parts ──join()──> none
 *     none ──stream()──> streaming ──last part──> none
 */
export class LargeArrival {
  /** Whether one has come since the last marker. */
  hasComeSinceMarker = false;
  readonly #queue: string;
  /** Bytes of the parts that have come of a message which is not whole yet. */
  #partBytes = 0;
  /** The message that they are of. */
  #partMessageId = 0;
  /** The message whose body is coming, part by part; `undefined` in it where a held one comes again. */
  #streaming: { readonly message: ReceivedMessage | undefined } | undefined;
  /** What to do once it is whole. */
  readonly #wholeWaiters: (() => void)[] = [];

  constructor(queue: string) {
    this.#queue = queue;
  }

  /** Whether one has begun and is not whole. */
  get isComing(): boolean {
    return this.#partBytes > 0 || this.#streaming !== undefined;
  }

  /** Whether a body is coming that the application has not finished reading. */
  get awaitsReader(): boolean {
    return this.#streaming?.message?.incoming?.isOver === false;
  }

  /** Bytes of a streamed body that have come and that nobody has read. */
  get unreadBytes(): number {
    return this.#streaming?.message?.incoming?.unreadBytes ?? 0;
  }

  /** The message of which only a part has come, and of which nobody knows yet; `undefined` for none. */
  get partlyCome(): number | undefined {
    return this.#partBytes > 0 ? this.#partMessageId : undefined;
  }

  /** The headers of the message `messageId`, or a part of the one that began last, to be put together. */
  addPart(frameBytes: number, messageId?: number): void {
    if (messageId !== undefined) {
      this.#giveUp();
      this.#partMessageId = messageId;
    }
    this.#partBytes += frameBytes;
  }

  /** The last part came, or a message without parts: the bytes of the parts before, 0 for none. */
  join(): number {
    const partBytes = this.#partBytes;
    this.hasComeSinceMarker ||= partBytes > 0;
    this.#partBytes = 0;
    return partBytes;
  }

  /** A message begins that is streamed. */
  beginStream(): void {
    this.#giveUp();
    this.hasComeSinceMarker = true;
  }

  /** The body that comes is that of `message`; of a held one that comes again it is `undefined`. */
  stream(message: ReceivedMessage | undefined): void {
    this.#streaming = { message };
  }

  /** A part of that body came. */
  pushPart(part: Uint8Array, isLast: boolean): void {
    const body = this.#streaming?.message?.incoming;
    if (isLast) this.#streaming = undefined;
    body?.push(part, isLast);
    if (isLast) this.tellWhole();
  }

  /** Calls `done` when what is coming is whole, or does not come any more. */
  whenWhole(done: () => void): void {
    this.#wholeWaiters.push(done);
  }

  /** Nothing more comes of it. */
  tellWhole(): void {
    for (const done of this.#wholeWaiters.splice(0)) done();
  }

  /** Who reads the body that comes looks whether it is still to be waited for. */
  wakeReader(): void {
    this.#streaming?.message?.incoming?.wake();
  }

  /** A message that was settled unread keeps no others waiting. */
  dropUnwanted(): void {
    const message = this.#streaming?.message;
    if (message === undefined || isOpen(message)) return;
    const { incoming, state } = message;
    // What went back is read by nobody any more; what still comes of it is dropped.
    if (state === "released" || state === "lost") incoming?.fail(returnedBodyError(this.#queue));
    else if (incoming?.isTaken === false) incoming.discard();
  }

  /** The connection is gone: a body that is being read ends there. */
  breakOff(): void {
    this.#lose(brokenBodyError(this.#queue));
  }

  /** What has come of it goes back to the queue. */
  giveBack(): void {
    this.#partBytes = 0;
    this.#lose(returnedBodyError(this.#queue));
    this.tellWhole();
  }

  /** Another message begins: the rest of what the broker had begun before does not come. */
  #giveUp(): void {
    this.#partBytes = 0;
    this.#lose(returnedBodyError(this.#queue));
  }

  /** The rest of the body does not come on this life: half a message is none. */
  #lose(error: EverholdError): void {
    const message = this.#streaming?.message;
    this.#streaming = undefined;
    if (message?.incoming === undefined || message.incoming.isWhole) return;
    message.incoming.fail(error);
    // An acknowledgement that is under way is for the whole of it, read or not.
    if (isOpen(message)) message.state = "lost";
  }
}

/** Whether the application may still settle it, and so has to have all of it. */
function isOpen({ state }: ReceivedMessage): boolean {
  return state === "buffered" || state === "taken" || state === "rejecting";
}

function brokenBodyError(queue: string): EverholdError {
  return new ConnectionError(
    "EVH_UNBLOCKED",
    `Cannot read on: the connection broke before the body had come; the message from ${queue} comes again`,
  );
}

function returnedBodyError(queue: string): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    `Cannot read on: the message went back to ${queue} before its body had come`,
  );
}
