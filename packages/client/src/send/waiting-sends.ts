import { Deque, EverholdError } from "@everhold/base";
import { limits } from "../limits.ts";
import type { AddressGate } from "./address-gate.ts";
import type { PendingSend } from "./pending-send.ts";

/**
 * The sends of one session that have not left. Each waits at the gate of its address; gates get their
 * turn one after the other, a send a turn, so that no address starves while there is little room.
 */
export class WaitingSends {
  /** Gates with sends that wait, each once, in the order in which their turn comes. */
  readonly turns = new Deque<AddressGate>();
  readonly #sendBufferBytes: number;
  #count = 0;
  #bytes = 0;

  constructor(sendBufferBytes: number) {
    this.#sendBufferBytes = sendBufferBytes;
  }

  /** How many wait. */
  get count(): number {
    return this.#count;
  }

  /** Why a send of so many bytes may not wait as well; `undefined` when it may. */
  refusal(bytes: number): EverholdError | undefined {
    if (this.#count === 0) return undefined;
    const bytesMax = this.#sendBufferBytes * limits.waitingSendBuffers;
    const isFull = this.#count >= limits.waitingSendCountMax || this.#bytes + bytes > bytesMax;
    return isFull ? this.#overloadedError() : undefined;
  }

  /** A send waits from now on. */
  add(gate: AddressGate, send: PendingSend): void {
    gate.waiting.push(send);
    this.#count += 1;
    this.#bytes += send.bytes;
    if (gate.waiting.length === 1) this.turns.push(gate);
  }

  /** It waits no more, because its caller gave up; whether it did. */
  remove(gate: AddressGate, send: PendingSend): boolean {
    if (!gate.waiting.remove(send)) return false;
    this.#noteWaited(send);
    if (gate.waiting.length === 0) this.turns.remove(gate);
    return true;
  }

  /** Takes out the first one of a gate whose turn it is, and which is in {@link turns} no more. */
  takeTurn(gate: AddressGate): void {
    const send = gate.waiting.shift();
    if (send !== undefined) this.#noteWaited(send);
  }

  /** Takes out the first one of any gate; `undefined` when none waits there. */
  takeFirst(gate: AddressGate): PendingSend | undefined {
    const send = gate.waiting.shift();
    if (send === undefined) return undefined;
    this.#noteWaited(send);
    if (gate.waiting.length === 0) this.turns.remove(gate);
    return send;
  }

  /** Takes out all of a gate, in order. */
  drainGate(gate: AddressGate): PendingSend[] {
    const sends = gate.waiting.drain();
    if (sends.length > 0) this.turns.remove(gate);
    for (const send of sends) this.#noteWaited(send);
    return sends;
  }

  /** Takes all out. */
  drain(): PendingSend[] {
    const sends = this.turns.drain().flatMap((gate) => gate.waiting.drain());
    this.#count = 0;
    this.#bytes = 0;
    return sends;
  }

  #noteWaited(send: PendingSend): void {
    this.#count -= 1;
    this.#bytes -= send.bytes;
  }

  #overloadedError(): EverholdError {
    return new EverholdError(
      "EVH_OVERLOADED",
      `Cannot send: found ${this.#count} sends of ${this.#bytes} bytes that wait, ` +
        `at most ${limits.waitingSendCountMax} and ${limits.waitingSendBuffers} times the send ` +
        "buffer are allowed; await earlier ones first",
    );
  }
}
