/** Who leads, when processes stand still, die, and lose their sessions: one at a time, by the order of their tokens. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { childOf, LeaderLatch, LeaderSelector, ops, type ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { briefSession, connectString, connectTo, leaseTiming } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { TemporaryFolder } from "../support/folders.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { groundOf } from "../support/ground.ts";
import { LeashedProcess } from "../support/leashed-process.ts";
import { killSession } from "../support/session-killer.ts";
import { patienceMs, until } from "../support/until.ts";

const program = fileURLToPath(new URL("../support/candidate.js", import.meta.url));

for (const version of zooKeeperVersions) {
  describe(`leadership on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let clientPort = 0;
    let witness: ZooKeeper;

    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version, size: 1 }));
      clientPort = ensemble.servers[0]?.clientPort ?? 0;
      witness = ground.own(await connectTo(ensemble.connectString));
    });

    const candidate = (path: string, id: string): Candidate =>
      new Candidate([ensemble.connectString, path, `/ledgers${path}`, id]);
    const openLedger = (path: string): Promise<unknown> =>
      witness.create(`/ledgers${path}`, "0", { parents: true });

    it("a process that stood still does not lead when it is asked, nor does anything as a leader", async () => {
      await openLedger("/leaders/still");
      await using still = candidate("/leaders/still", "still");
      const { token } = await still.leads();
      await using latch = new LeaderLatch(witness, "/leaders/still", leaseTiming);
      latch.start();
      await until("it acts", () => still.lines.includes(`acts ${token}`) || undefined);
      still.signal("SIGSTOP");
      const grant = await latch.awaitLeadership({ timeout: patienceMs });
      assert.ok(grant.token > token);
      await delay(briefSession.sessionTimeout / 2);
      const lineCount = still.lines.length;
      still.ask();
      still.signal("SIGCONT");
      await until("it answers", () => still.lines.includes("asked no", lineCount) || undefined);
      await still.told(`notLeader ${token}`);
      await until("it stands again", async () => {
        return (await latch.participants()).length === 2 || undefined;
      });
      assert.deepEqual(
        still.lines.slice(lineCount).filter((line) => line !== "asked no"),
        [`notLeader ${token}`],
      );
      assert.equal(latch.isLeader(), true);
    });

    it("one of three processes leads, whatever happens to the one that does", async () => {
      const path = "/leaders/three";
      await openLedger(path);
      const all = ["a", "b", "c"].map((id) => candidate(path, id));
      const tokens: bigint[] = [];
      const next = async (): Promise<{ leader: Candidate; sessionId: bigint }> => {
        const newest = tokens.at(-1) ?? 0n;
        const found = await until("somebody leads", () => {
          for (const one of all) {
            const term = one.terms().find(({ token }) => token > newest);
            if (term !== undefined) return { leader: one, ...term };
          }
          return undefined;
        });
        tokens.push(found.token);
        await found.leader.told(`acts ${found.token}`);
        return found;
      };
      try {
        const first = await next();
        first.leader.signal("SIGKILL");
        const second = await next();
        await killSession(clientPort, second.sessionId);
        await second.leader.told(`notLeader ${tokens.at(-1)}`);
        const third = await next();
        await deleteAll(witness, path);
        await third.leader.told(`notLeader ${tokens.at(-1)}`);
        await next();
        for (const { lines } of all) assertNothingAfterwards(lines);
        const owners = all.map((one) => new Set(one.terms().map(({ token }) => token)));
        const count = owners.reduce((sum, { size }) => sum + size, 0);
        assert.equal(
          new Set(owners.flatMap((one) => [...one])).size,
          count,
          "one token, one leader",
        );
      } finally {
        await Promise.all(all.map((one) => one[Symbol.asyncDispose]()));
      }
    });

    it("connections that come and go change no leader, and sessions that do leave one node behind", async () => {
      const path = "/leaders/flapping";
      using proxy = await FreezingProxy.start(clientPort);
      await using client = await connectTo(connectString(proxy.port));
      await using latch = new LeaderLatch(client, path, leaseTiming);
      const tokens: bigint[] = [];
      latch.on("leader", ({ grant }) => tokens.push(grant.token));
      latch.start();
      await latch.awaitLeadership({ timeout: patienceMs });
      const former = (await witness.getChildren(path)).children;
      for (let count = 0; count < 20; count += 1) {
        proxy.cut();
        await delay(50);
      }
      await client.sync();
      await latch.awaitLeadership({ timeout: patienceMs });
      assert.deepEqual((await witness.getChildren(path, { fresh: true })).children, former);
      assert.equal(new Set(tokens).size, 1);
      for (let count = 0; count < 5; count += 1) {
        await client.ready();
        await killSession(clientPort, client.sessionId);
        await client.sync().catch(() => undefined);
      }
      await until("it leads in the last session", () => {
        return (latch.isLeader() && latch.grant?.epoch === client.epoch) || undefined;
      });
      const { children } = await witness.getChildren(path, { fresh: true });
      assert.equal(children.length, 1);
    });

    it("work is done by one leader at a time, term after term", async () => {
      const path = "/leaders/terms";
      const clients = await Promise.all([1, 2, 3].map(() => connectTo(ensemble.connectString)));
      const shutdown = new AbortController();
      const terms: bigint[] = [];
      let leading = 0;
      const running = clients.map((client) =>
        new LeaderSelector(client, path, leaseTiming).run(
          async (term) => {
            leading += 1;
            assert.equal(leading, 1);
            terms.push(term.token);
            if (terms.length === 3) shutdown.abort();
            await client.sync();
            leading -= 1;
          },
          { autoRequeue: true, signal: shutdown.signal },
        ),
      );
      await Promise.all(running);
      assert.deepEqual(
        terms,
        terms.toSorted((one, other) => (one < other ? -1 : 1)),
      );
      await Promise.all(clients.map((client) => client.close()));
    });
  });
}

/** Who has said that it leads no more does nothing more by that token. */
function assertNothingAfterwards(lines: readonly string[]): void {
  for (const [index, line] of lines.entries()) {
    const [, token] = /^notLeader (\d+)$/.exec(line) ?? [];
    const late = lines.slice(index + 1).filter((one) => one.split(" ").at(-1) === token);
    assert.deepEqual(late, []);
  }
}

/** Deletes an election as an administrator does, while everybody stands in line. */
async function deleteAll(client: ZooKeeper, path: string): Promise<void> {
  await until("all is deleted", async () => {
    const { children } = await client.getChildren(path, { fresh: true });
    const steps = [...children.map((name) => childOf(path, name)), path].map((one) =>
      ops.delete(one),
    );
    // Somebody may have come meanwhile.
    return client.multi(steps).catch(() => undefined);
  });
}

/** One process of `support/candidate.ts`. */
class Candidate implements AsyncDisposable {
  /** What it said. */
  readonly lines: string[] = [];
  readonly #folder = new TemporaryFolder();
  readonly #process: LeashedProcess;
  #rest = "";

  constructor(programArguments: readonly string[]) {
    const command = [process.execPath, program, ...programArguments];
    const onOutput = (text: string): void => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop() ?? "";
      this.lines.push(...lines);
    };
    this.#process = new LeashedProcess(command, this.#folder.path, { onOutput });
  }

  /** Each time that it led. */
  terms(): { readonly token: bigint; readonly sessionId: bigint }[] {
    return this.lines.flatMap((line) => {
      const [, token, sessionId] = /^leader (\d+) (-?\d+)$/.exec(line) ?? [];
      if (token === undefined || sessionId === undefined) return [];
      return [{ token: BigInt(token), sessionId: BigInt(sessionId) }];
    });
  }

  /** Waits until it leads. */
  leads(): Promise<{ readonly token: bigint }> {
    return until(
      "it leads",
      () => this.terms()[0],
      () => this.#process.output,
    );
  }

  /** Waits until it has said this. */
  async told(line: string): Promise<void> {
    await until(
      `it says "${line}"`,
      () => this.lines.includes(line) || undefined,
      () => this.#process.output,
    );
  }

  /** Asks it whether it leads. */
  ask(): void {
    this.#process.tell("ask");
  }

  signal(name: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    this.#process.signal(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.#process.ended(patienceMs);
    this.#folder[Symbol.dispose]();
  }
}
