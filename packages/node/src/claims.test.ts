import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { NodeClaims } from "./claims.ts";
import { withFolder } from "./temporary-folder.test-support.ts";

/** A process that makes a claim, says so, and then waits to be killed. */
const claimingProgram = `
  const [module, folder] = process.argv.slice(1);
  const { NodeClaims } = await import(module);
  await new NodeClaims({ folder }).make("a");
  process.stdout.write("made");
`;

describe("NodeClaims", () => {
  it("a claim is held from when it is made until it is released, also by who looks later", () =>
    withFolder(async (folder) => {
      const claims = new NodeClaims({ folder: join(folder, "group") });
      const claim = await claims.make("a");
      const [early, late] = [watch(claims, "a"), watch(claims, "a")];
      assert.deepEqual([await early.next(), await late.next()], ["held", "held"]);
      const release = claim.release();
      assert.deepEqual([await early.next(), await late.next()], ["gone", "gone"]);
      await release;
      await claim.release();
      assert.equal(await watch(claims, "a").next(), "gone");
      assert.equal(await watch(claims, "never").next(), "gone");
      assert.deepEqual(await readdir(join(folder, "group")), []);
    }));

  it("a claim is held while its process stands still, and gone when that is killed", () =>
    withFolder(async (folder) => {
      const claims = new NodeClaims({ folder });
      const child = await claimingChild(folder);
      const early = watch(claims, "a");
      assert.equal(await early.next(), "held");
      child.kill("SIGSTOP");
      const late = watch(claims, "a");
      assert.equal(await late.next(), "held");
      child.kill("SIGKILL");
      assert.deepEqual([await early.next(), await late.next()], ["gone", "gone"]);
      assert.deepEqual(await readdir(folder), [], "what it left is removed");
    }));

  it("a claim whose connections end is held still", () =>
    withFolder(async (folder) => {
      let count = 0;
      const server = createServer((socket) => {
        count += 1;
        socket.destroy();
      });
      server.listen(join(folder, "a.claim"));
      await once(server, "listening");
      const watched = watch(new NodeClaims({ folder }), "a");
      assert.equal(await watched.next(), "held");
      while (count < 3) await once(server, "connection");
      server.close();
      assert.equal(await watched.next(), "gone");
    }));

  it("nothing is told after a watch was stopped", () =>
    withFolder(async (folder) => {
      const claims = new NodeClaims({ folder });
      const claim = await claims.make("a");
      const [stopped, other] = [watch(claims, "a"), watch(claims, "a")];
      assert.deepEqual([await stopped.next(), await other.next()], ["held", "held"]);
      stopped.stop();
      await claim.release();
      assert.equal(await other.next(), "gone");
      assert.equal(stopped.toldCount, 1);
    }));

  it("a folder whose path is too long for a socket is refused, by both lengths", () =>
    withFolder(async (folder) => {
      const claims = new NodeClaims({ folder: join(folder, "x".repeat(100)) });
      await assert.rejects(claims.make("a"), {
        code: "EVH_CONFIG",
        message: /found \d{3} bytes, at most 103 are allowed; choose a folder/,
      });
    }));

  it("a name that is taken, and a folder that can't be made, are typed errors", () =>
    withFolder(async (folder) => {
      const claims = new NodeClaims({ folder });
      const claim = await claims.make("a");
      await assert.rejects(claims.make("a"), { code: "EVH_IO", message: /EADDRINUSE/ });
      await claim.release();
      const nowhere = new NodeClaims({ folder: "/proc/nowhere" });
      await assert.rejects(nowhere.make("a"), { code: "EVH_IO" });
    }));
});

async function claimingChild(folder: string): Promise<ChildProcess> {
  const module = new URL("./index.js", import.meta.url).href;
  const program = ["--input-type=module", "--eval", claimingProgram, module, folder];
  const child = spawn(process.execPath, program, { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

interface Watched {
  readonly toldCount: number;
  /** What is told next. */
  next(): Promise<"held" | "gone">;
  stop(): void;
}

function watch(claims: NodeClaims, name: string): Watched {
  const told: ("held" | "gone")[] = [];
  let readCount = 0;
  let onTold = (): void => undefined;
  const tell = (what: "held" | "gone"): void => {
    told.push(what);
    onTold();
  };
  const watching = claims.watch(name, { onHeld: () => tell("held"), onGone: () => tell("gone") });
  return {
    get toldCount(): number {
      return told.length;
    },
    next: async () => {
      readCount += 1;
      while (told.length < readCount) await new Promise<void>((resolve) => (onTold = resolve));
      const what = told[readCount - 1];
      if (what === undefined) throw new Error("nothing was told");
      return what;
    },
    stop: () => watching.stop(),
  };
}
