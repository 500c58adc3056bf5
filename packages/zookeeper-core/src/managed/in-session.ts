import type { WaitPorts } from "@everhold/env";
import { Lease, type LeaseTiming } from "../lease/lease.ts";
import { renewalSpec, type LeaseNode } from "../lease/renewal.ts";
import type { Requests, RequestWait } from "../session/request.ts";
import type { Session } from "../session/session.ts";
import { SessionScope } from "./session-scope.ts";

/** What a lease stands on besides the session, and for how long to wait for it. */
export interface LeaseRequest extends LeaseTiming {
  readonly node: LeaseNode | undefined;
  readonly wait: RequestWait;
}

/** What runs in one session gets. */
export interface InSession {
  readonly scope: SessionScope;
  /** Takes a lease that ends with the scope at the latest. */
  readonly takeLease: (request: LeaseRequest) => Promise<Lease>;
}

/**
 * Waits for a session, does `work` in it, and gives what it gave if the session was not over by then. When this
 * settles, `work` has, too.
 */
export async function runInSession<T>(
  context: {
    readonly session: Session;
    readonly requests: Requests;
    readonly ports: WaitPorts;
  },
  wait: RequestWait,
  work: (inner: InSession) => T | Promise<T>,
): Promise<T> {
  const { session, requests, ports } = context;
  const scope = await SessionScope.of(session, wait);
  const takeLease = ({ node, wait: leaseWait, ...timing }: LeaseRequest): Promise<Lease> => {
    const { epoch, signal: sessionSignal } = scope;
    const sessionTimeoutMs = (): number => session.sessionTimeoutMs;
    const renewal = (): ReturnType<typeof renewalSpec> => renewalSpec(node);
    const heardAtMs = (followerMs: number): number => session.heardAtMs(followerMs);
    const parts = { ports, requests, epoch, sessionTimeoutMs, sessionSignal, renewal, heardAtMs };
    return Lease.take(parts, timing, leaseWait);
  };
  try {
    const value = await work({ scope, takeLease });
    scope.check("finish what belongs to one session");
    return value;
  } finally {
    scope.leave();
  }
}
