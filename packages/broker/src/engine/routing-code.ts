import type { RoutingType } from "../state/queue-definition.ts";
import type { DivertRouting } from "../state/rules.ts";

/** The routing type that a message asks for by its code: 0 multicast, 1 anycast, anything else none. */
export function routingTypeOf(code: number): RoutingType | undefined {
  if (code === 1) return "anycast";
  return code === 0 ? "multicast" : undefined;
}

/** The code of the routing type that a message of the code `before` has behind a divert; −1 for none. */
export function divertedType(routing: DivertRouting, before: number): number {
  if (routing === "pass") return before;
  if (routing === "strip") return -1;
  return routing === "anycast" ? 1 : 0;
}
