import type { Ports } from "@everhold/env";

/** The ports of a broker that is never woken for what it asked for before it listened. */
export function forgetfulStart(ports: Ports): Ports {
  let isListening = false;
  return {
    ...ports,
    timers: {
      after: (delayMs, task) =>
        isListening ? ports.timers.after(delayMs, task) : { cancel: () => undefined },
      atTurnEnd: (task) => ports.timers.atTurnEnd(task),
    },
    network: {
      listen: (endpoint, accept) => {
        isListening = true;
        return ports.network.listen(endpoint, accept);
      },
      connect: (endpoint, attempt) => ports.network.connect(endpoint, attempt),
    },
  };
}
