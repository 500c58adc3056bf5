import type { Ports, Timer } from "@everhold/env";
import { connectionLimits as limits } from "./connection-limits.ts";

/** Who pings, and who is told of silence. */
export interface LivenessHost {
  ping(): void;
  /** Nothing was heard for so long that the server is taken for dead. */
  onSilence(silentMs: number): void;
}

/**
 * Keeps a connection in use and notices when the server says nothing any more: a ping when nothing was sent for a
 * third of the session's timeout, the end when nothing was heard for two thirds of it, so that the last third is left
 * to find another server. Source: ZooKeeper, `ClientCnxn.SendThread`.
 */
export class Liveness {
  /** When something was heard last. */
  heardAtMs: number;
  readonly #ports: Pick<Ports, "timers" | "monotonicClock">;
  readonly #host: LivenessHost;
  readonly #pingIntervalMs: number;
  readonly #silenceMsMax: number;
  #sentAtMs: number;
  #timer: Timer | undefined;
  /** What was heard last when silence was noticed, and a look at what is unread was granted. */
  #graceAtMs: number | undefined;

  constructor(
    ports: Pick<Ports, "timers" | "monotonicClock">,
    sessionTimeoutMs: number,
    host: LivenessHost,
  ) {
    this.#ports = ports;
    this.#host = host;
    this.#pingIntervalMs = Math.min(sessionTimeoutMs / 3, limits.pingIntervalMsMax);
    this.#silenceMsMax = (sessionTimeoutMs * 2) / 3;
    const nowMs = ports.monotonicClock.nowMs();
    this.heardAtMs = nowMs;
    this.#sentAtMs = nowMs;
    this.#schedule(nowMs);
  }

  /** Something was sent. */
  sent(nowMs: number): void {
    this.#sentAtMs = nowMs;
  }

  /** Looks no more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #schedule(nowMs: number): void {
    const dueMs = Math.min(
      this.#sentAtMs + this.#pingIntervalMs,
      this.heardAtMs + this.#silenceMsMax,
    );
    this.#timer = this.#ports.timers.after(Math.max(1, dueMs - nowMs), () => this.#look());
  }

  #look(): void {
    const nowMs = this.#ports.monotonicClock.nowMs();
    const silentMs = nowMs - this.heardAtMs;
    if (silentMs >= this.#silenceMsMax) {
      // This process may itself have been held up: what came meanwhile is read before the next look.
      if (this.#graceAtMs === this.heardAtMs) return this.#host.onSilence(silentMs);
      this.#graceAtMs = this.heardAtMs;
    } else if (nowMs - this.#sentAtMs >= this.#pingIntervalMs) {
      this.#host.ping();
      this.#sentAtMs = nowMs;
    }
    this.#schedule(nowMs);
  }
}
