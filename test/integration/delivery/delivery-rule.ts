/** Where a rule can be seen, if anywhere. */
export const ruleKinds = {
  wire: "visible on the wire",
  option: "an option of our client",
  outcome: "outcome only",
  openWire: "inner workings of OpenWire without a counterpart here",
} as const;

/** One of {@link ruleKinds}. */
export type RuleKind = keyof typeof ruleKinds;

/** One rule of delivery: what must happen, how it is here, and which tests show it. */
export interface DeliveryRule {
  /** `A` and the group, a point, the number: `A1.13`. */
  readonly id: string;
  readonly kind: RuleKind;
  /** What happens, whoever the broker is, and what specifications and brokers say where they differ. */
  readonly rule: string;
  /** How Everhold does it. */
  readonly here: string;
  /** Tests that do not begin with the rule's id, by their whole name as it stands in the source. */
  readonly tests: readonly string[];
  /** What of the rule does not hold yet. */
  readonly open: string | undefined;
}

/** Rules that belong together. */
export interface RuleGroup {
  /** `A1`. */
  readonly id: string;
  readonly title: string;
  readonly rules: readonly DeliveryRule[];
}

/** A rule in the order in which one reads it. */
export function rule(
  id: string,
  kind: RuleKind,
  [what, here]: readonly [rule: string, here: string],
  { tests = [], open }: { readonly tests?: readonly string[]; readonly open?: string } = {},
): DeliveryRule {
  return { id, kind, rule: what, here, tests, open };
}
