import { EverholdError } from "@everhold/base";
import type { Endpoint } from "@everhold/env";
import type { JournalOptions } from "@everhold/journal";

import { checkConnector, type Connector } from "./core/connector.ts";
import { limits } from "./limits.ts";
import { divertDefinitionOf, type DivertsByName } from "./settings/divert-options.ts";
import { checkSettings, type SettingsByMatch } from "./settings/settings-by-match.ts";

/** Sizes of the journal; see the journal's own options for what they mean. */
export type JournalConfig = Omit<JournalOptions, "ports">;

/** Everything a broker can be told. Sizes are bytes, times milliseconds. */
export interface BrokerConfig {
  /** The broker's name, for people. Default `everhold`. */
  readonly name: string;
  /** Where it listens for CORE. Default loopback, port 61616. */
  readonly endpoints: readonly Endpoint[];
  /**
   * How clients reach this broker, as the topology tells them. Default none: they are told no address, and go by the one
   * that they were given. A member of a group needs it.
   */
  readonly connector: Connector | undefined;
  /**
   * What holds for addresses and their queues, by match: `orders.#`. A more specific match goes before others,
   * setting by setting. Default none: what `settingTable` says holds for all.
   */
  readonly addressSettings: SettingsByMatch;
  /** Rules by which messages for one address go to others, by name. Default none. */
  readonly diverts: DivertsByName;
  /** Larger frames end the connection. Default `limits.frameBytesMax`. */
  readonly frameBytesMax: number;
  /** Larger messages are refused with EVH_REJECTED, unless they come in parts. Default `limits.messageBytesMax`. */
  readonly messageBytesMax: number;
  /** The same for those that come in parts. Default `limits.largeMessageBytesMax`: only the disk bounds them. */
  readonly largeMessageBytesMax: number;
  /**
   * Bytes of messages that are held in memory only. Above, producers get no more credit; a sixteenth
   * further on, sends that would need memory are refused with EVH_ADDRESS_FULL. Default 1 GiB.
   */
  readonly memoryBytesMax: number;
  /** A connection that has not sent its first whole packet by then is closed. Default 10 000. */
  readonly handshakeTimeoutMs: number;
  /** Connections at one time; the system may allow fewer. Default 100 000. */
  readonly connectionCountMax: number;
  /** Connections that have not opened a session yet; the one that has been so longest gives way. Default 5 000. */
  readonly strangerCountMax: number;
  /** Branches of distributed transactions that are not decided. Default 100 000. */
  readonly branchesMax: number;
  /** Silence after which a connection is failed, until its first ping. Default 60 000. */
  readonly connectionTtlMs: number;
  /** Overrides what clients announce. Default none. */
  readonly connectionTtlOverrideMs: number | undefined;
  /**
   * Sessions whose connection broke and that wait for their clients, for those that have a confirmation
   * window; 0 for none: all of them fail at once. Default 10 000.
   */
  readonly parkedSessionsMax: number;
  readonly journal: JournalConfig;
}

/** What a caller may leave out; the defaults are those of {@link BrokerConfig}. */
export type BrokerOptions = Partial<BrokerConfig>;

/**
 * Fills in the defaults and checks what was given.
 *
 * @throws EverholdError EVH_CONFIG naming the key, what was found and what is allowed
 */
export function brokerConfig(options: BrokerOptions = {}): BrokerConfig {
  const config: BrokerConfig = {
    name: options.name ?? "everhold",
    endpoints: options.endpoints ?? [{ host: "127.0.0.1", port: 61616 }],
    connector: options.connector,
    addressSettings: options.addressSettings ?? {},
    diverts: options.diverts ?? {},
    frameBytesMax: options.frameBytesMax ?? limits.frameBytesMax,
    messageBytesMax: options.messageBytesMax ?? limits.messageBytesMax,
    largeMessageBytesMax: options.largeMessageBytesMax ?? limits.largeMessageBytesMax,
    memoryBytesMax: options.memoryBytesMax ?? limits.memoryBytesMax,
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? limits.handshakeTimeoutMs,
    connectionCountMax: options.connectionCountMax ?? limits.connectionCountMax,
    strangerCountMax: options.strangerCountMax ?? limits.strangerCountMax,
    branchesMax: options.branchesMax ?? limits.branchesMax,
    connectionTtlMs: options.connectionTtlMs ?? limits.connectionTtlMs,
    connectionTtlOverrideMs: options.connectionTtlOverrideMs,
    parkedSessionsMax: options.parkedSessionsMax ?? limits.parkedSessionsMax,
    journal: options.journal ?? {},
  };
  if (config.connector !== undefined) checkConnector(config.connector);
  checkRange("frameBytesMax", config.frameBytesMax, 1024, limits.frameBytesMax);
  checkRange("messageBytesMax", config.messageBytesMax, 1024, limits.messageBytesMax);
  checkRange(
    "largeMessageBytesMax",
    config.largeMessageBytesMax,
    1024,
    limits.largeMessageBytesMax,
  );
  checkRange("memoryBytesMax", config.memoryBytesMax, 0, Number.MAX_SAFE_INTEGER);
  checkRange("handshakeTimeoutMs", config.handshakeTimeoutMs, 1, 3_600_000);
  checkRange("connectionCountMax", config.connectionCountMax, 1, limits.connectionCountMax);
  checkRange("strangerCountMax", config.strangerCountMax, 1, limits.connectionCountMax);
  checkRange("branchesMax", config.branchesMax, 1, limits.branchesMax);
  checkRange("parkedSessionsMax", config.parkedSessionsMax, 0, limits.connectionCountMax);
  checkRange("connectionTtlMs", config.connectionTtlMs, 1, 86_400_000);
  checkRange("the number of diverts", Object.keys(config.diverts).length, 0, limits.divertsMax);
  for (const [name, divert] of Object.entries(config.diverts)) {
    divertDefinitionOf(name, divert, "EVH_CONFIG");
  }
  for (const [match, settings] of Object.entries(config.addressSettings)) {
    checkSettings(match, settings);
  }
  if (config.messageBytesMax >= config.frameBytesMax) {
    throw new EverholdError(
      "EVH_CONFIG",
      `messageBytesMax is ${config.messageBytesMax}, expected less than frameBytesMax, ${config.frameBytesMax}`,
    );
  }
  return config;
}

function checkRange(key: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new EverholdError(
    "EVH_CONFIG",
    `${key} is ${value}, expected a whole number from ${min} to ${max}`,
  );
}
