/** Processes that are killed and started again: what the one before left is gone before the next one begins. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { sessionFolder, type ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { TemporaryFolder } from "../support/folders.ts";
import { LeashedProcess } from "../support/leashed-process.ts";
import { patienceMs, until } from "../support/until.ts";

const program = fileURLToPath(new URL("../support/resident.js", import.meta.url));

for (const version of zooKeeperVersions) {
  describe(`processes that are started again, on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let witness: ZooKeeper;
    before(async () => {
      ensemble = await Ensemble.start({ version });
      witness = await connectTo(ensemble.connectString);
    });
    after(async () => {
      await witness.close();
      await ensemble[Symbol.asyncDispose]();
    });

    it("one that was killed finds nothing of its own in its way, where its session is kept", async () => {
      using folder = new TemporaryFolder();
      const owners = new Set<string>();
      for (let life = 1; life <= 3; life += 1) {
        await using resident = new Resident(ensemble.connectString, "/kept", folder.path);
        const [, owner = ""] = await resident.said(/^holds (\S+)$/m);
        owners.add(owner);
        resident.kill();
        await resident.ended();
        assert.equal(
          String((await witness.exists("/kept", { fresh: true }))?.ephemeralOwner),
          owner,
        );
      }
      assert.equal(owners.size, 3);
    });

    it("one that was killed has its own node in its way, where its session is not kept", async () => {
      await using first = new Resident(ensemble.connectString, "/forgotten", "");
      await first.said(/^holds/m);
      first.kill();
      await first.ended();
      await using second = new Resident(ensemble.connectString, "/forgotten", "");
      await second.said(/^refused EVH_ZOOKEEPER NODEEXISTS$/m);
    });

    it("a second one with the same folder is refused, and ends nobody's session", async () => {
      using folder = new TemporaryFolder();
      await using first = new Resident(ensemble.connectString, "/shared", folder.path);
      const [, owner = ""] = await first.said(/^holds (\S+)$/m);
      await using second = new Resident(ensemble.connectString, "/other", folder.path);
      await second.said(/^refused EVH_DATA_LOCKED /m);
      assert.equal(
        String((await witness.exists("/shared", { fresh: true }))?.ephemeralOwner),
        owner,
      );
      first.close();
      await first.ended();
      assert.equal(await witness.exists("/shared", { fresh: true }), null);
      const left = readFileSync(join(folder.path, "session.json"), "utf8");
      assert.equal(left, '{"format":1}\n', "no session to be ended");
      await using third = new Resident(ensemble.connectString, "/shared", folder.path);
      await third.said(/^holds/m);
    });

    it("one that stood still until its folder was taken over is told so, and harms nothing there", async () => {
      using folder = new TemporaryFolder();
      const sessionStore = sessionFolder(folder.path);
      await using former = await connectTo(ensemble.connectString, { sessionStore });
      const errors: Error[] = [];
      former.on("error", ({ error }) => errors.push(error));
      await former.create("/taken", null, { mode: "ephemeral" });
      seemEnded(folder.path);
      await using next = new Resident(ensemble.connectString, "/taken", folder.path);
      await next.said(/^holds/m);
      const kept = readFileSync(join(folder.path, "session.json"), "utf8");
      const [error] = await until(
        "it is told",
        () => (errors.length > 0 ? errors : undefined),
        () => former.state,
      );
      assert.match(String(error), new RegExp(`process ${next.pid} on ${hostname()} uses it`));
      await until(
        "it goes on",
        () => (former.state === "connected" && former.epoch === 2) || undefined,
        () => former.state,
      );
      assert.equal(readFileSync(join(folder.path, "session.json"), "utf8"), kept);
    });
  });
}

/** Makes who holds the folder look like one that has ended. */
function seemEnded(folder: string): void {
  const lock = join(folder, "everhold.lock.1");
  const text = readFileSync(lock, "utf8");
  writeFileSync(lock, text.replace(`"pid":${process.pid}`, `"pid":${2 ** 30}`));
}

/** One process of `support/resident.ts`. */
class Resident implements AsyncDisposable {
  readonly #folder = new TemporaryFolder();
  readonly #process: LeashedProcess;

  constructor(...programArguments: readonly string[]) {
    const command = [process.execPath, program, ...programArguments];
    const onOutput = (): void => undefined;
    this.#process = new LeashedProcess(command, this.#folder.path, { onOutput });
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Waits until it has said this. */
  said(what: RegExp): Promise<RegExpExecArray> {
    return until(
      `it says ${what}`,
      () => what.exec(this.#process.output) ?? undefined,
      () => this.#process.output,
    );
  }

  kill(): void {
    this.#process.signal("SIGKILL");
  }

  /** It ends as it should. */
  close(): void {
    this.#process.tell("close");
  }

  ended(): Promise<void> {
    return this.#process.ended(patienceMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.ended();
    this.#folder[Symbol.dispose]();
  }
}
