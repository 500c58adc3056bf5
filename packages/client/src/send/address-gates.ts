import type { MonotonicClock } from "@everhold/env";
import { packets } from "@everhold/wire";
import type { Channel } from "../core/channel.ts";
import { limits } from "../limits.ts";
import type { SendTarget } from "../message/send-options.ts";
import { AddressGate } from "./address-gate.ts";

/** What the gates of a session need. */
export interface AddressGatesHost {
  readonly ports: { readonly monotonicClock: MonotonicClock };
  readonly producerWindowBytes: number;
  readonly onBlocked: (address: string, blocked: boolean) => void;
}

/** A send that waited this long for credit is worth telling about. */
const blockedAfterMs = 1000;

/** The addresses that one session sends to: what the broker is told of them, and asked for. */
export class AddressGates {
  readonly #host: AddressGatesHost;
  readonly #byAddress = new Map<string, AddressGate>();
  #nextProducerId = 1;

  constructor(host: AddressGatesHost) {
    this.#host = host;
  }

  /** The gate of an address that was sent to. */
  find(address: string): AddressGate | undefined {
    return this.#byAddress.get(address);
  }

  /** The gate of an address, made when there is none; then an idle one may have to go, but not `inUse`. */
  get(target: SendTarget, channel: Channel | undefined, inUse?: AddressGate): AddressGate {
    const { address } = target;
    const known = this.#byAddress.get(address);
    if (known !== undefined) return known;
    if (this.#byAddress.size >= limits.addressCountMax) this.#forgetIdle(channel, inUse);
    const producerId = this.#nextProducerId;
    this.#nextProducerId += 1;
    const gate = new AddressGate(target, producerId, this.#host.producerWindowBytes);
    this.#byAddress.set(address, gate);
    return gate;
  }

  /** The connection is gone: all are closed, and without credit. */
  reset(): void {
    for (const gate of this.#byAddress.values()) gate.reset();
  }

  /**
   * The address exists: asks for credit, then says that a producer is there, in the order of Artemis'
   * client.
   */
  start(channel: Channel, gate: AddressGate): void {
    gate.state = "open";
    requestCredit(channel, gate, gate.waiting.at(0)?.bytes ?? 0);
    if (channel.version < 134) return;
    channel.send(packets.createProducer, { producerId: gate.producerId, address: gate.address });
  }

  /** Asks for the credit that `bytes` need; whether it is there. */
  hasCredit(channel: Channel, gate: AddressGate, bytes: number): boolean {
    requestCredit(channel, gate, bytes);
    if (!gate.allows(bytes)) {
      if (gate.blockedSinceMs === Infinity) {
        gate.blockedSinceMs = this.#host.ports.monotonicClock.nowMs();
      }
      return false;
    }
    gate.blockedSinceMs = Infinity;
    if (gate.blockedTold) {
      gate.blockedTold = false;
      this.#host.onBlocked(gate.address, false);
    }
    return true;
  }

  /** Tells about addresses whose sends have been waiting for credit for long. */
  onHeartbeat(nowMs: number): void {
    for (const gate of this.#byAddress.values()) {
      if (gate.blockedTold || nowMs - gate.blockedSinceMs < blockedAfterMs) continue;
      gate.blockedTold = true;
      this.#host.onBlocked(gate.address, true);
    }
  }

  /** A program that answers to ever new addresses must not hold them all. */
  #forgetIdle(channel: Channel | undefined, inUse: AddressGate | undefined): void {
    for (const [address, gate] of this.#byAddress) {
      if (gate.waiting.length > 0 || gate.state === "opening" || gate === inUse) continue;
      this.#byAddress.delete(address);
      if (gate.state === "open" && (channel?.version ?? 0) >= 134) {
        channel?.send(packets.removeProducer, { producerId: gate.producerId });
      }
      return;
    }
  }
}

function requestCredit(channel: Channel, gate: AddressGate, bytes: number): void {
  const credits = gate.creditToRequest(bytes);
  if (credits === 0) return;
  channel.send(packets.producerRequestCredits, { credits, address: gate.address });
}
