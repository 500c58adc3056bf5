/** The rules of delivery that every broker keeps, as our client sees them: docs/DELIVERY.md lists them all. */
import { describe } from "node:test";

import type { SuiteContext } from "../client/broker-under-test.ts";
import { badInputTests } from "./bad-input.suite.ts";
import { deliveryOrderTests } from "./order.suite.ts";
import { deliverySelectorTests } from "./selectors.suite.ts";
import { deliverySettlementTests } from "./settlement.suite.ts";
import { deliveryTransactionTests } from "./transactions.suite.ts";

/** Declares the suite. */
export function deliveryTests(context: SuiteContext): void {
  describe("settlement and redelivery", () => deliverySettlementTests(context));
  describe("transactions and duplicates", () => deliveryTransactionTests(context));
  describe("order and prefetch", () => deliveryOrderTests(context));
  describe("selectors and subscriptions", () => deliverySelectorTests(context));
  describe("bad input", () => badInputTests(context));
}
