import { setTimeout as delay } from "node:timers/promises";

import type { EnsembleOptions } from "../support/ensemble.ts";
import { killSession } from "../support/session-killer.ts";
import type { Stage } from "./stage.ts";

/** The session timeout of both clients, in ms. */
export const sessionTimeoutMs = 6_000;

/** What is done to both clients at the same moment. */
export interface Scenario {
  readonly id: string;
  readonly title: string;
  /** What happens, for the document. */
  readonly text: string;
  readonly ensemble?: Partial<EnsembleOptions>;
  /** Default: {@link sessionTimeoutMs}. */
  readonly sessionTimeoutMs?: number;
  /** Whether the clients' processes stand still. */
  readonly stopsClients?: boolean;
  /** Whether Curator may use a server that can only read; ours never does. */
  readonly mayReadOnly?: boolean;
  /** From the fault until everything is whole again. */
  readonly fault: (stage: Stage) => Promise<void>;
}

/** More than a session, and what it takes to notice. */
const longMs = 2 * sessionTimeoutMs + 1_000;

/** Servers whose followers take 30 s until they notice that they are cut off. */
const patientFollowers = { canBeCut: true, properties: { syncLimit: 60 } };

export const scenarios: readonly Scenario[] = [
  {
    id: "killed",
    title: "The connected server is killed",
    text: "`kill -9` of the follower that both are connected to; the other two go on.",
    fault: async ({ target }) => {
      await target.kill();
      await delay(sessionTimeoutMs / 2);
      await target.start();
    },
  },
  {
    id: "leader-killed",
    title: "The leader of the ensemble is killed",
    text: "`kill -9` of the leader; the two followers elect one of them, and end their connections until they have.",
    fault: async ({ ensemble }) => {
      const leader = await ensemble.leader();
      if (leader === undefined) throw new Error("the ensemble has no leader");
      await leader.kill();
      await delay(sessionTimeoutMs / 2);
      await leader.start();
    },
  },
  {
    id: "stands-still",
    title: "The connected server stands still",
    text: `SIGSTOP of that follower for ${longMs / 1_000} s: its connections stay open and silent.`,
    fault: async ({ target }) => {
      target.standStill();
      await delay(longMs);
      target.goOn();
    },
  },
  {
    id: "silence",
    title: "The network falls silent for longer than a session",
    text: `Nothing passes between the clients and any server for ${longMs / 1_000} s; new connections are taken and hear nothing.`,
    fault: async ({ proxies }) => {
      for (const proxy of proxies) proxy.freeze();
      await delay(longMs);
      // What was held back belongs to connections that both sides have given up.
      for (const proxy of proxies) {
        proxy.cut();
        proxy.thaw();
      }
    },
  },
  {
    id: "outage-short",
    title: "All servers are down for less than a session",
    text: "`kill -9` of all three, which are started again 3 s later; sessions of 20 s.",
    sessionTimeoutMs: 20_000,
    fault: async ({ ensemble }) => {
      await ensemble.killAll();
      await delay(3_000);
      await ensemble.startAll();
    },
  },
  {
    id: "outage-long",
    title: "All servers are down for longer than a session",
    text:
      `\`kill -9\` of all three, which are started again ${longMs / 1_000} s later. Servers that start give every session ` +
      "that they know its whole time again.",
    fault: async ({ ensemble }) => {
      await ensemble.killAll();
      await delay(longMs);
      await ensemble.startAll();
    },
  },
  {
    id: "session-ended",
    title: "The session is ended from elsewhere",
    text: "Another connection takes the session by its id and closes it.",
    fault: async ({ others, sessions }) => {
      const [server] = others;
      await Promise.all(
        Object.values(sessions).map((id) => killSession(server?.clientPort ?? 0, id)),
      );
    },
  },
  {
    id: "cut-off",
    title: "The connected follower is cut off from the leader",
    text:
      `For ${longMs / 1_000} s. It takes 30 s here until it notices (\`syncLimit\` 60): until then it answers reads and ` +
      "pings, while the other servers end the sessions. One whose `syncLimit` is some ticks shorter than the sessions gives " +
      "its clients up in time.",
    ensemble: patientFollowers,
    fault: async ({ ensemble, target }) => {
      ensemble.cutOff(target);
      await delay(longMs);
      ensemble.rejoin(target);
    },
  },
  {
    id: "client-stands-still",
    title: "The client stands still",
    text: `SIGSTOP of the clients' processes for ${(1.5 * sessionTimeoutMs) / 1_000} s, one and a half session timeouts.`,
    stopsClients: true,
    fault: async ({ mains }) => {
      for (const main of mains) main.standStill();
      await delay(1.5 * sessionTimeoutMs);
      for (const main of mains) main.goOn();
    },
  },
  {
    id: "read-only",
    title: "Only a server that can only read is left",
    text:
      `The other two servers are killed for ${longMs / 1_000} s; the third may serve reads without them ` +
      "(`readonlymode.enabled`, and `localSessionsEnabled`, without which it takes no session), and Curator is told that it " +
      "may use it (`canBeReadOnly`). Ours never does.",
    ensemble: {
      javaArguments: ["-Dreadonlymode.enabled=true"],
      properties: { localSessionsEnabled: true, localSessionsUpgradingEnabled: true },
    },
    mayReadOnly: true,
    fault: async (stage) => {
      const { ensemble, others } = stage;
      await Promise.all(others.map((server) => server.kill()));
      await delay(longMs - 2_000);
      await stage.ask("read", 2_000);
      await stage.ask("write", 2_000);
      await ensemble.startAll();
    },
  },
];
