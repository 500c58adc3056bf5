import type { Way } from "./cutting-proxy.ts";
import type { Peace } from "./faults.ts";
import type { GroupFaultKind } from "./history-line.ts";

/** What is tortured: a broker or two, with a proxy before each whose connections can be cut. */
export interface TortureTarget {
  /** For those who make the load: through the proxies. */
  readonly loadUrls: readonly string[];
  /** For those who look on, and are never cut. */
  readonly url: string;
  /** Between two faults. */
  readonly peace: Peace;
  /** Whether somebody could take over if the broker were killed or stopped now. */
  readonly isWhole: boolean;
  /** Settles when it serves. */
  start(): Promise<void>;
  /** @throws Error when what is meant to run has ended by itself */
  assertAlive(): void;
  /** Ends who serves as a power cut would, for so long; settles when somebody serves again. */
  kill(durationMs: number): Promise<void>;
  /** Who serves stands still, with all connections open, until it is told to go on. */
  stop(): void;
  goOn(): void;
  /** Cuts each connection of the load that `chosen` says yes to, once `bytes` more have passed. */
  cut(chosen: () => boolean, bytes: number): void;
  /** On each connection of the load that `chosen` says yes to nothing passes this way any more, and nobody is told. */
  drop(chosen: () => boolean, way: Way): void;
  /** On each connection of the load that `chosen` says yes to all comes so many ms late from now on. */
  delay(chosen: () => boolean, delayMs: number): void;
  /** What is done to a group only; settles when the next fault may come. */
  harm?(kind: GroupFaultKind, durationMs: number): Promise<void>;
  /** Settles when all that faults have set going is over. */
  rest(): Promise<void>;
  /** Ends everything. */
  end(): Promise<void>;
}
