import { ClosedError, EverholdError } from "@everhold/base";
import { Backoff, pause, type Ports } from "@everhold/env";
import {
  type Acl,
  retries,
  type ZooKeeper,
  ZooKeeperError,
  type ZooKeeperReason,
} from "@everhold/zookeeper-core";
import type { GroupPaths } from "./group-paths.ts";
import { limits } from "./limits.ts";

/** The ports that a coordinator needs. */
export type CoordinatorPorts = Pick<Ports, "timers" | "monotonicClock" | "random" | "log">;

/** What the parts of one coordinator share. */
export interface GroupAccess {
  readonly ports: CoordinatorPorts;
  readonly client: ZooKeeper;
  readonly paths: GroupPaths;
  /** Of every node that is made. */
  readonly acl: readonly Acl[];
  /** Aborted when the coordinator is closed. */
  readonly closing: AbortSignal;
}

/** What a call that waits for ZooKeeper as long as that takes is told. */
export interface Patience {
  readonly timeout: number;
  readonly retry: ReturnType<typeof retries.exponential>;
  readonly signal: AbortSignal;
}

/** For calls that end only with an answer, or with the coordinator. */
export function patienceOf({ closing }: GroupAccess): Patience {
  const { pauseMsMin: baseMs, pauseMsMax: maxMs } = limits;
  return { timeout: Infinity, retry: retries.exponential({ baseMs, maxMs }), signal: closing };
}

/**
 * What `attempt` gives when ZooKeeper has answered it, again and again until then; for what may be done twice.
 * @throws EverholdError EVH_CLOSED, what ended the client, and what ZooKeeper refused
 */
export async function untilAnswered<T>(
  access: GroupAccess,
  attempt: (patience: Patience) => Promise<T>,
): Promise<T> {
  const { ports, closing } = access;
  const { pauseMsMin: minMs, pauseMsMax: maxMs } = limits;
  const backoff = new Backoff({ minMs, maxMs }, ports.random);
  for (;;) {
    checkOpen(access);
    try {
      return await attempt(patienceOf(access));
    } catch (error) {
      checkOpen(access);
      if (!EverholdError.is(error)) throw error;
      if (!error.retryable && error.outcome !== "unknown") throw error;
    }
    await pause(ports, backoff.nextMs(), closing);
  }
}

/** @throws EverholdError EVH_CLOSED */
export function checkOpen({ closing, paths }: GroupAccess): void {
  if (!closing.aborted) return;
  throw new ClosedError("EVH_CLOSED", `The coordinator of ${paths.group} is closed`);
}

/** Whether the client has ended, so that nothing is answered any more. */
export function hasEnded({ state }: ZooKeeper): boolean {
  return state === "closed" || state === "authFailed";
}

/** Whether ZooKeeper refused for this reason. */
export function isRefusal(error: unknown, ...reasons: readonly ZooKeeperReason[]): boolean {
  return error instanceof ZooKeeperError && reasons.includes(error.reason);
}

/** What is thrown, for a field of a log line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Which part of a multi was refused; 0 where that is not known. */
export function opIndexOf(error: unknown): number {
  return (error instanceof ZooKeeperError ? error.opIndex : undefined) ?? 0;
}
