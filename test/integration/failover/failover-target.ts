import type { Connection, ConnectOptions } from "@everhold/client";

/** What clients are connected to, and how it fails. */
export interface FailoverTarget extends AsyncDisposable {
  /** Whether the broker lives, and keeps the sessions of a broken connection. */
  readonly keepsSessions: boolean;
  connect(options?: ConnectOptions): Promise<Connection>;
  /** Fails, at once: nobody serves any more. */
  down(): Promise<void>;
  /** Returns when somebody serves again. */
  up(): Promise<void>;
  /** All is as it was at first. */
  restore(): Promise<void>;
}

/** A client that comes back soon, for whom the broker waits longer than any machine stands still. */
export const quickly = {
  reconnect: { initialAttempts: 10_000, initialDelay: 5, maxDelay: 100 },
  heartbeat: { period: 1000, ttl: 60_000 },
} as const satisfies ConnectOptions;

/** The same, whose end the broker notices soon where nobody tells it. */
export const soonMissed = {
  ...quickly,
  heartbeat: { period: 1000, ttl: 5000 },
} as const satisfies ConnectOptions;

/** Names that no other test uses. */
let nameCount = 0;

/** A name that nobody else has. */
export function freshName(word: string): string {
  nameCount += 1;
  return `${word}-${nameCount}`;
}

/** Fails, and serves again when each of `clients` has noticed it. */
export async function failOnce(
  target: FailoverTarget,
  ...clients: readonly Connection[]
): Promise<void> {
  const noticed = clients.map(noticedBy);
  await target.down();
  await Promise.all(noticed);
  await target.up();
}

/** Resolves when the client has noticed that its connection is broken, from now on. */
export function noticedBy(client: Connection): Promise<void> {
  return new Promise((resolve) => client.on("disconnect", () => resolve()));
}
