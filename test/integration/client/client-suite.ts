/** The client's integration suite: the same assertions for every broker that the client speaks to. */
import { after, before, describe } from "node:test";

import { deliveryTests } from "../delivery/delivery-suite.ts";
import { SuiteContext, type BrokerUnderTest } from "./broker-under-test.ts";
import { closingTests } from "./closing.suite.ts";
import { connectionTests } from "./connections.suite.ts";
import { flowTests } from "./flow.suite.ts";
import { largeTests } from "./large.suite.ts";
import { messageTests } from "./messages.suite.ts";
import { outageTests } from "./outages.suite.ts";
import { queueTests } from "./queues.suite.ts";
import { queueKindTests } from "./queue-kinds.suite.ts";
import { requestTests } from "./requests.suite.ts";
import { settlementTests } from "./settlement.suite.ts";
import { topicTests } from "./topics.suite.ts";
import { transactionTests } from "./transactions.suite.ts";
import { twoPhaseTests } from "./two-phase.suite.ts";

export { artemisLacks } from "./exclusions.ts";
export type { BrokerUnderTest, MortalBroker } from "./broker-under-test.ts";

/** Declares the whole suite for one broker. */
export function clientSuite(target: BrokerUnderTest): void {
  describe(`the client on ${target.name}`, () => {
    const context = new SuiteContext(target);
    before(() => context.start());
    after(() => context.stop());
    describe("messages", () => messageTests(context));
    describe("settlement", () => settlementTests(context));
    describe("transactions", () => transactionTests(context));
    describe("transactions in two phases", () => twoPhaseTests(context));
    describe("topics", () => topicTests(context));
    describe("queues and browsing", () => queueTests(context));
    describe("queues of every kind", () => queueKindTests(context));
    describe("requests", () => requestTests(context));
    describe("flow control and sizes", () => flowTests(context));
    describe("large messages", () => largeTests(context));
    describe("closing and giving up", () => closingTests(context));
    describe("connections", () => connectionTests(context));
    describe("outages", () => outageTests(context));
    describe("rules of delivery", () => deliveryTests(context));
  });
}
