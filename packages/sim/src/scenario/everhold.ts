import type { EverholdError } from "@everhold/base";
import { Broker } from "@everhold/broker";
import type { Ports } from "@everhold/env";

/** Where the scenario's broker is. */
export const brokerHost = "broker";
const brokerPort = 61616;
/** What the clients connect to. */
export const brokerUrl = `tcp://${brokerHost}:${brokerPort}`;

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
}

/**
 * Starts the real broker. Attempts to deliver are not limited: in a world this rough, a message that is
 * given up after ten would only show that the world is rough.
 */
export async function startBroker(
  ports: Ports,
  { journal, maxSizeBytes, addressFullPolicy }: BrokerSetup,
  onFailed: (error: EverholdError) => void,
): Promise<Broker> {
  return Broker.start({
    ports,
    onFailed,
    config: {
      endpoints: [{ host: brokerHost, port: brokerPort }],
      messageBytesMax: 20_000,
      journal,
      addressSettings: {
        maxDeliveryAttempts: -1,
        autoDeleteQueues: false,
        maxSizeBytes,
        addressFullPolicy,
      },
    },
  });
}
