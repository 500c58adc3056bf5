import type { WallClock } from "@everhold/env";
import type { Channel } from "../core/channel.ts";
import type { Prefetch } from "../options.ts";
import type { ReceivedMessage } from "./received-message.ts";
import type { SettlementHost } from "./settlement-host.ts";

/** What an intake consumes, and how. */
export interface IntakeSettings {
  readonly consumerId: number;
  readonly queue: string;
  readonly filter: string | null;
  readonly browse: boolean;
  readonly priority: number;
  /** `undefined`: the window that the broker advises, else 1 MiB. */
  readonly prefetch: Prefetch | undefined;
  /** Whether deliveries must be settled: not when browsing, nor with `pre`. */
  readonly settles: boolean;
  /** Whether acknowledgements belong to a transaction. */
  readonly transacted: boolean;
  /** Bytes of a large body above which its message is handed out before the body has come. */
  readonly streamAboveBytes: number;
}

/** What an intake needs of its session. */
export interface IntakeHost extends Pick<
  SettlementHost,
  | "deadLetter"
  | "delay"
  | "settlesExactly"
  | "hasOwnDeadLetters"
  | "reply"
  | "onWork"
  | "onError"
  | "overdueError"
  | "unlessOverdue"
  | "within"
  | "compression"
  | "tracing"
> {
  readonly wallClock: WallClock;
  /** Makes sure that the queue exists. @throws EverholdError the broker's refusal */
  readonly prepare: (channel: Channel) => Promise<void>;
}

/** Somebody who waits for a message. */
export interface Taker {
  onMessage(message: ReceivedMessage): void;
  /** No more will come; `error` when that is not what the application asked for. */
  onEnd(error: unknown): void;
}
