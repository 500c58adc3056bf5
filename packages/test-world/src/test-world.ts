import { createHash, createHmac } from "node:crypto";
import { Prng } from "@everhold/base";
import type { LogFields, Ports, Timer } from "@everhold/env";
import { TestNetwork } from "./test-network.ts";

/** Everything that is not a socket: virtual time, and randomness that repeats. */
export class TestWorld {
  readonly ports: Ports;
  readonly network = new TestNetwork(this);
  readonly warnings: string[] = [];
  readonly timers = new Set<{ readonly atMs: number; readonly task: () => void }>();
  nowMs = 0;
  #steps: (() => void)[] = [];
  #turnEnds: (() => void)[] = [];

  constructor(seed = 1) {
    const prng = new Prng(seed);
    this.ports = {
      wallClock: { nowMs: () => 1_700_000_000_000 + Math.floor(this.nowMs) },
      monotonicClock: { nowMs: () => this.nowMs },
      timers: {
        after: (delayMs, task) => this.#after(delayMs, task),
        atTurnEnd: (task) => void this.#turnEnds.push(task),
      },
      random: { uint32: () => prng.uint32(), fill: (target) => prng.fill(target) },
      hash: { crc32: () => unused("hash") },
      digests: { digest: (algorithm, bytes) => createHash(algorithm).update(bytes).digest() },
      macs: { hmacSha256: (key, bytes) => createHmac("sha256", key).update(bytes).digest() },
      disk: {
        location: "nowhere",
        list: () => unused("disk"),
        create: () => unused("disk"),
        open: () => unused("disk"),
        rename: () => unused("disk"),
        remove: () => unused("disk"),
        freeBytes: () => unused("disk"),
        lock: () => unused("disk"),
      },
      network: this.network,
      log: {
        debug: () => undefined,
        info: () => undefined,
        warn: (message: string, _fields?: LogFields) => void this.warnings.push(message),
        error: (message: string) => void this.warnings.push(message),
      },
    };
  }

  /** Runs `step` after everything that has been asked for before. */
  later(step: () => void): void {
    this.#steps.push(step);
  }

  /** Lets everything happen that can happen now, without time passing. */
  async settle(): Promise<void> {
    for (;;) {
      await drainMicrotasks();
      const steps = this.#steps.splice(0);
      for (const step of steps) step();
      if (steps.length > 0) continue;
      const turnEnds = this.#turnEnds.splice(0);
      for (const task of turnEnds) task();
      if (turnEnds.length === 0) return;
    }
  }

  /** Lets only the next things happen, so that a test may act between two of them. */
  async step(): Promise<void> {
    await drainMicrotasks();
    for (const step of this.#steps.splice(0)) step();
    for (const task of this.#turnEnds.splice(0)) task();
    await drainMicrotasks();
  }

  /** Lets so much time pass, timers included. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.nowMs + durationMs;
    await this.settle();
    for (;;) {
      const due = [...this.timers]
        .filter((timer) => timer.atMs <= endMs)
        .toSorted((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.timers.delete(due);
      this.nowMs = Math.max(this.nowMs, due.atMs);
      due.task();
      await this.settle();
    }
    this.nowMs = endMs;
  }

  /** Settles, then gives the promise's value; it must have one by then. */
  async now<T>(promise: Promise<T>): Promise<T> {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    promise.then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    );
    await this.settle();
    const settled: { readonly value: T } | { readonly error: unknown } | undefined = outcome;
    if (settled === undefined) throw new Error("the promise is still pending");
    if ("error" in settled) throw settled.error;
    return settled.value;
  }

  /** Whether the promise is pending when everything has happened that can happen now. */
  async isPending(promise: Promise<unknown>): Promise<boolean> {
    let pending = true;
    const done = (): void => void (pending = false);
    promise.then(done, done);
    await this.settle();
    return pending;
  }

  #after(delayMs: number, task: () => void): Timer {
    const timer = { atMs: this.nowMs + delayMs, task };
    this.timers.add(timer);
    return { cancel: () => void this.timers.delete(timer) };
  }
}

async function drainMicrotasks(): Promise<void> {
  // A macrotask comes after every microtask, however many of them follow from one another.
  await new Promise<void>((resolve) => setImmediate(resolve));
}

function unused(what: string): never {
  throw new Error(`a client uses no ${what}`);
}
