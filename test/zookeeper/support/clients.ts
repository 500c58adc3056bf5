import {
  connect,
  type ConnectOptions,
  type ConnectStringSource,
  type SessionEvent,
  type ZooKeeper,
} from "@everhold/zookeeper";

import { Told } from "./told.ts";
import { patienceMs, until } from "./until.ts";

/** Lines about connections that break on purpose say nothing. */
const log = { error: ignore, warn: ignore, info: ignore, debug: ignore };

/** For candidates who lead soon, in ms; `tickTime` is more than the servers'. */
export const leaseTiming = { tickTime: 1000, renewInterval: 300 } as const;

/** Of candidates that others take the place of soon, in ms. */
export const briefSession = { sessionTimeout: 3000 } as const;

/** Connects as tests do: quietly, and with time limits that no slow machine reaches. */
export function connectTo(
  servers: string | ConnectStringSource,
  options: ConnectOptions = {},
): Promise<ZooKeeper> {
  return connect(servers, {
    sessionTimeout: 20_000,
    connectTimeout: patienceMs,
    requestTimeout: patienceMs,
    log,
    ...options,
  });
}

/** For servers on 127.0.0.1. */
export function connectString(...ports: readonly number[]): string {
  return ports.map((port) => `127.0.0.1:${port}`).join(",");
}

/** What a client tells from now on. */
export function toldBy(client: ZooKeeper): Told<SessionEvent> {
  return new Told(client);
}

/** The event of the next session, whatever breaks there were before it. */
export function nextSession(
  told: Told<SessionEvent>,
): Promise<Extract<SessionEvent, { type: "reconnected" }>> {
  return until(
    "another session began",
    () => told.events.find((event) => event.type === "reconnected" && event.sessionChanged),
    () => `but ${told.types.join(", ")}`,
  ).then((event) => {
    if (event.type !== "reconnected") throw new Error(event.type);
    return event;
  });
}

function ignore(): void {
  // On purpose.
}
