import { connectString } from "./clients.ts";
import type { Ensemble } from "./ensemble.ts";
import { FreezingProxy } from "./freezing-proxy.ts";

/** A proxy before each server of an ensemble: a client that goes through them can be cut off from all of it. */
export interface Proxies extends Disposable {
  readonly all: readonly FreezingProxy[];
  /** For a client that is to go through them. */
  readonly connectString: string;
  /** Connections that are open. */
  readonly openCount: number;
  /** Breaks every connection; later ones hear nothing. */
  cutOff(): void;
  /** Breaks every connection; later ones live. */
  rejoin(): void;
}

/** Puts a proxy before each server. */
export async function proxiesOf(ensemble: Ensemble): Promise<Proxies> {
  const all: FreezingProxy[] = [];
  try {
    for (const { clientPort } of ensemble.servers) all.push(await FreezingProxy.start(clientPort));
  } catch (error) {
    for (const proxy of all) proxy[Symbol.dispose]();
    throw error;
  }
  return {
    all,
    connectString: connectString(...all.map(({ port }) => port)),
    get openCount(): number {
      return all.reduce((sum, proxy) => sum + proxy.openCount, 0);
    },
    cutOff() {
      for (const proxy of all) {
        proxy.freeze();
        proxy.cut();
      }
    },
    rejoin() {
      for (const proxy of all) {
        proxy.cut();
        proxy.thaw();
      }
    },
    [Symbol.dispose]() {
      for (const proxy of all) proxy[Symbol.dispose]();
    },
  };
}
