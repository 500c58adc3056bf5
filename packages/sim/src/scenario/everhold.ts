import type { EverholdError } from "@everhold/base";
import { Broker, type BrokerOptions } from "@everhold/broker";
import type { Endpoint, Ports } from "@everhold/env";

/** Where the scenario's broker is. */
export const brokerHost = "broker";
/** Its first door. */
export const brokerPort = 61616;
const brokerPorts = [brokerPort, brokerPort + 1];
/** What the clients connect to. */
export const brokerUrl = `tcp://${brokerHost}:${brokerPort}`;
/** Both doors of the broker. */
export const brokerUrls = brokerPorts.map((port) => `tcp://${brokerHost}:${port}`);

/** Sizes that differ from seed to seed, so that files end in all kinds of places. */
export interface BrokerSizes {
  readonly segmentBytes: number;
  readonly snapshotBytes: number;
  readonly tailCacheBytes: number;
}

/** How a broker is set up; differs from seed to seed. */
export interface BrokerSetup {
  readonly journal: BrokerSizes;
  /** Bytes that one address may hold; −1 for no limit. */
  readonly maxSizeBytes: number;
  /** What happens to sends beyond. */
  readonly addressFullPolicy: "block" | "fail";
  /** Attempts after which a message goes to the dead letters; −1 for ever. */
  readonly maxDeliveryAttempts: number;
  /** What else holds for all addresses. */
  readonly more?: SomeSettings;
  /** What holds for some. */
  readonly moreByMatch?: Readonly<Record<string, SomeSettings>>;
}

/** Settings of some addresses. */
export type SomeSettings = NonNullable<BrokerOptions["addressSettings"]>[string];

/** Where messages go that were attempted too often. */
export const deadLetterQueue = "DLQ";

/** What a broker of this setup is told that listens there. */
export function brokerOptions(
  { journal, more, moreByMatch, ...settings }: BrokerSetup,
  endpoints: readonly Endpoint[],
): BrokerOptions {
  return {
    endpoints,
    messageBytesMax: 20_000,
    journal,
    addressSettings: {
      "#": {
        ...settings,
        ...more,
        deadLetterAddress: deadLetterQueue,
        autoDeleteQueues: false,
      },
      ...moreByMatch,
    },
  };
}

/** Starts the real broker. */
export async function startBroker(
  ports: Ports,
  setup: BrokerSetup,
  onFailed: (error: EverholdError) => void,
): Promise<Broker> {
  const endpoints = brokerPorts.map((port) => ({ host: brokerHost, port }));
  return Broker.start({ ports, onFailed, config: brokerOptions(setup, endpoints) });
}
