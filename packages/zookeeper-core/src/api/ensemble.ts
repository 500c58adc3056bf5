import { operations } from "../protocol/operations.ts";
import type { Caller } from "./caller.ts";
import { type EnsembleConfig, parseEnsembleConfig } from "./ensemble-config.ts";
import { optionError, type RequestOptions } from "./request-options.ts";
import { readSpec, requestSpec } from "./request-spec.ts";

/** What is to change in an ensemble: either who joins and leaves, or all members anew. */
export interface EnsembleChange {
  /** Servers to add or change, as `server.N=host:port:port;clientPort`. */
  readonly joining?: readonly string[];
  /** Numbers of the servers that leave. */
  readonly leaving?: readonly string[];
  /** All servers of the new ensemble, written as in `joining`. */
  readonly members?: readonly string[];
}

/** How to change an ensemble. */
export interface ReconfigOptions extends RequestOptions {
  /** The `version` of the configuration that is to be changed; another one is refused. Default: any. */
  readonly fromVersion?: bigint;
}

/** Where an ensemble keeps its configuration, whatever the chroot. */
export const configPath = "/zookeeper/config";

/** Reads the configuration. */
export async function readEnsembleConfig(
  caller: Caller,
  options: RequestOptions & { readonly fresh?: boolean },
): Promise<EnsembleConfig> {
  const { data } = await caller.read(readSpec(operations.getData, configPath, undefined), options);
  return parseEnsembleConfig(data);
}

/** Changes the configuration; gives the one after it. */
export async function reconfigure(
  caller: Caller,
  change: EnsembleChange,
  options: ReconfigOptions,
): Promise<EnsembleConfig> {
  const { joining, leaving, members } = change;
  if ((members === undefined) === (joining === undefined && leaving === undefined)) {
    throw optionError(
      operations.reconfig.name,
      "members",
      members,
      "either members, or joining or leaving",
    );
  }
  const body = {
    joining: joined(joining),
    leaving: joined(leaving),
    newMembers: joined(members),
    configId: options.fromVersion ?? -1n,
  };
  const { data } = await caller.call(requestSpec(operations.reconfig, body), options, "once");
  return parseEnsembleConfig(data);
}

function joined(list: readonly string[] | undefined): string | null {
  return list === undefined || list.length === 0 ? null : list.join(",");
}
