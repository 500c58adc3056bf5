import type { Endpoint, Log } from "@everhold/env";
import type { MemberStatus } from "@everhold/member";

import type { Environment } from "./config/expand-references.ts";
import type { ConfigFlag } from "./config/load-config.ts";

/** What may be said about a start besides the configuration. */
export interface StartOptions {
  /** Where `${NAME}` and `EVERHOLD__…` come from. Default the environment of this process. */
  readonly environment?: Environment;
  /** What command-line flags say; stronger than environment and configuration. */
  readonly flags?: readonly ConfigFlag[];
  /** Where the first acceptor listens instead. */
  readonly listen?: Partial<Endpoint>;
  /** Where log lines go instead of standard error. */
  readonly log?: Log;
  /** What relative paths are relative to. Default the current folder. */
  readonly folder?: string;
  /** Gives up the start of a member that waits for its group or for ZooKeeper; no effect once it has started. */
  readonly signal?: AbortSignal;
}

/** What makes a broker one member of a group. */
export interface RunningMember {
  /** The group's name. */
  readonly group: string;
  /** What it is at this moment, and how far. */
  readonly status: MemberStatus;
  /** Gives way to another member in sync, which then leads; given up when it takes too long. To the live only. */
  handOver(to: string): void;
  /**
   * Has this member lead although it may lack what is committed: an operator takes the loss. Only while the group's node
   * is the one that `status.node` named; it has no effect on one that leads.
   */
  promoteUncleanly(created: string, version: number): void;
}

/** A broker at work in this process. */
export interface RunningBroker extends AsyncDisposable {
  /**
   * One URL for each acceptor, with the ports that were chosen where 0 was asked for. None while a member of a group does
   * not lead.
   */
  readonly urls: readonly string[];
  /** Its data folder, absolute. */
  readonly dataFolder: string;
  /** Whether nobody but programs on this machine can reach it. */
  readonly loopbackOnly: boolean;
  /** Whether nobody comes in without a name and a password: there are users, and anonymous is not allowed. */
  readonly loginRequired: boolean;
  /** Present where the configuration has a `group`. */
  readonly member: RunningMember | undefined;
  /** Where its monitor listens; undefined where the configuration has no `monitor`. */
  readonly monitorUrl: string | undefined;
  /**
   * Rejects when the storage fails; the broker has stopped by then. Never settles otherwise. With EVH_DISK_HUNG threads of this
   * process still wait for the disk, and `process.exit` waits for them: end it by a signal, SIGKILL say.
   */
  readonly failed: Promise<never>;
  /**
   * Lets clients go, makes everything durable, and frees ports and folder. Idempotent.
   * @throws EverholdError EVH_DISK_HUNG where the disk does not answer: the folder is not free then
   */
  stop(): Promise<void>;
}

/**
 * Starts a durable broker in this process.
 *
 * `config` is a file (default `everhold.yaml` or `everhold.json` of the current folder, if there is
 * one) or an object of the same shape. Without any: data in `./everhold-data`, port 61616 of 127.0.0.1.
 *
 * @throws EverholdError EVH_CONFIG, EVH_PORT_IN_USE, EVH_DATA_LOCKED, EVH_DATA_FOLDER,
 *   EVH_DATA_CORRUPT, EVH_DATA_FORMAT, EVH_IO; EVH_ABORTED by `signal`
 * @example
 * const broker = await startBroker({ data: "./orders-data" });
 * console.log(broker.urls); // ["tcp://127.0.0.1:61616"]
 * await broker.stop();
 */
export async function startBroker(
  config?: string | URL | object,
  options: StartOptions = {},
): Promise<RunningBroker> {
  // A program that only connects should not pay for loading the broker.
  const { launchBroker } = await import("./launch-broker.ts");
  return launchBroker(config, options);
}
