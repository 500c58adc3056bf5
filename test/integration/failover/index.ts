/** What other projects use of this folder: exchanges over connections that break, and their judge. */
export { cutRun, everyCut, forEachOf, leftIn, type CutTarget } from "./cut-runs.ts";
export { queuesOf } from "./exchange.ts";
export { killRun, ownExchanger, type Exchanger, type KillTarget } from "./kill-runs.ts";
export { cutText, FrameProxy, type Cut, type Way } from "./frame-proxy.ts";
export { broken } from "./judge-story.ts";
export { Story, type Outcome, type Told } from "./story.ts";
export type { FailoverTarget } from "./failover-target.ts";
export { failoverScenarios } from "./scenarios.suite.ts";
