import type { Link, Network } from "@everhold/env";
import { PassingLink } from "./passing-link.ts";

/** The network of a process that tells of whatever it sends, just after it was sent. */
export function tellingNetwork(network: Network, onStep: (step: string) => void): Network {
  const telling = (link: Link): TellingLink => new TellingLink(link, onStep);
  return {
    listen: (endpoint, accept) =>
      network.listen(endpoint, (link) => {
        const told = telling(link);
        return told.attach(accept(told));
      }),
    connect: (endpoint, attempt) =>
      network.connect(endpoint, {
        onConnected: (link) => {
          const told = telling(link);
          return told.attach(attempt.onConnected(told));
        },
        onFailed: (error, isRefused) => attempt.onFailed(error, isRefused),
      }),
  };
}

class TellingLink extends PassingLink {
  readonly #onStep: (step: string) => void;

  constructor(link: Link, onStep: (step: string) => void) {
    super(link);
    this.#onStep = onStep;
  }

  override send(bytes: Uint8Array): void {
    super.send(bytes);
    this.#onStep(`sends ${bytes.length} bytes to ${this.peer}`);
  }
}
