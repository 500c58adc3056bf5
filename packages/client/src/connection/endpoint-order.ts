import type { Endpoint } from "@everhold/env";

/**
 * Why an endpoint is tried: the broker sent us there (`redirect`), or its node gives what it has to that one
 * (`scaleDown`); it worked last (`current`), stands by for that one (`backup`), or worked before that
 * (`previous`); it is in the URL (`list`); the topology named it for this node before (`former`); or it is another
 * node that the topology names (`member`).
 */
export type EndpointSource =
  | "redirect"
  | "scaleDown"
  | "current"
  | "backup"
  | "previous"
  | "list"
  | "former"
  | "member";

/** An endpoint to try. */
export interface Candidate {
  readonly endpoint: Endpoint;
  readonly source: EndpointSource;
}

/** What a client knows of where brokers are. */
export interface KnownEndpoints {
  readonly redirect: Endpoint | undefined;
  readonly scaleDown: Endpoint | undefined;
  readonly current: Endpoint | undefined;
  readonly backup: Endpoint | undefined;
  readonly previous: Endpoint | undefined;
  /** As the URL says. */
  readonly list: readonly Endpoint[];
  /** Of the current node: those that the topology does not name any more. */
  readonly former: readonly Endpoint[];
  readonly members: readonly Endpoint[];
  /** The current broker has said that it stops, or does not answer: its backup is the better guess. */
  readonly isCurrentDoubtful: boolean;
}

/**
 * The endpoints in the order in which a round tries them, each once. The list is walked from behind the current
 * one, so that those in its middle are not always the last.
 * Source: Artemis, `ClientSessionFactoryImpl`; it does not go on where a node took the socket and no more.
 */
export function endpointOrder(known: KnownEndpoints): readonly Candidate[] {
  const { current, list } = known;
  const ordered: Candidate[] = [];
  const add = (endpoint: Endpoint | undefined, source: EndpointSource): void => {
    if (endpoint === undefined) return;
    if (ordered.some((other) => isTriedAlready(other.endpoint, endpoint))) return;
    ordered.push({ endpoint, source });
  };
  add(known.redirect, "redirect");
  add(known.scaleDown, "scaleDown");
  if (known.isCurrentDoubtful) add(known.backup, "backup");
  add(current, "current");
  add(known.backup, "backup");
  add(known.previous, "previous");
  const at =
    current === undefined ? -1 : list.findIndex((endpoint) => isSameEndpoint(endpoint, current));
  for (const endpoint of [...list.slice(at + 1), ...list.slice(0, at + 1)]) add(endpoint, "list");
  for (const endpoint of known.former) add(endpoint, "former");
  for (const endpoint of known.members) add(endpoint, "member");
  return ordered;
}

/** Whether two endpoints are one, as far as their names tell. */
export function isSameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && hostName(a) === hostName(b);
}

/** As above, but 127.0.0.1 and ::1 are two: a broker may listen on one of them only, and who lists both means both. */
function isTriedAlready(a: Endpoint, b: Endpoint): boolean {
  const areBothNumbers = a.host !== localhost && b.host !== localhost;
  if (isLoopback(a.host) && isLoopback(b.host) && areBothNumbers && a.host !== b.host) return false;
  return isSameEndpoint(a, b);
}

const localhost = "localhost";
const loopbackNames: ReadonlySet<unknown> = new Set([localhost, "127.0.0.1", "::1"]);

/** Whether a host is the machine itself. */
export function isLoopback(host: unknown): boolean {
  return loopbackNames.has(host);
}

function hostName({ host }: Endpoint): string {
  const name = host.toLowerCase();
  return isLoopback(name) ? localhost : name;
}
