/** Every rule of delivery: what docs/DELIVERY.md is made from, together with the names of the tests. */
import { acknowledgementRules, acknowledgementTypeRules } from "./acknowledgement-rules.ts";
import type { RuleGroup } from "./delivery-rule.ts";
import { groupRules, prefetchRules, slowConsumerRules } from "./flow-rules.ts";
import { duplicateRules, orderRules } from "./order-rules.ts";
import { deadLetterRules, redeliveryRules } from "./redelivery-rules.ts";
import { selectorRules } from "./selector-rules.ts";
import { sendingRules } from "./sending-rules.ts";
import { subscriptionRules } from "./subscription-rules.ts";
import { transactionRules, xaRules } from "./transaction-rules.ts";

export { ruleKinds } from "./delivery-rule.ts";

/** In the order of the document. */
export const ruleGroups: readonly RuleGroup[] = [
  acknowledgementRules,
  acknowledgementTypeRules,
  sendingRules,
  transactionRules,
  xaRules,
  redeliveryRules,
  deadLetterRules,
  orderRules,
  duplicateRules,
  prefetchRules,
  slowConsumerRules,
  groupRules,
  selectorRules,
  subscriptionRules,
];
