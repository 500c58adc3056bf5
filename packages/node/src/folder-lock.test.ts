import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { NodeDisk } from "./disk.ts";
import { holderState, ownHolder, parseHolder, type LockHolder } from "./lock-holder.ts";
import { withFolder } from "./temporary-folder.test-support.ts";

/** A process that takes the folder's lock, says so, and then waits to be killed. */
const holderProgram = `
  const [module, folder] = process.argv.slice(1);
  const { NodeDisk } = await import(module);
  await new NodeDisk({ folder }).lock();
  process.stdout.write("locked");
  setInterval(() => {}, 1000);
`;

describe("the lock of a folder", () => {
  it("is exclusive within a process and free again after release", () =>
    withFolder(async (folder) => {
      const lock = await new NodeDisk({ folder }).lock();
      await assert.rejects(new NodeDisk({ folder }).lock(), {
        code: "EVH_DATA_LOCKED",
        message: new RegExp(`process ${process.pid} on `),
      });
      await lock.release();
      await lock.release();
      await (await new NodeDisk({ folder }).lock()).release();
    }));

  it("is held by a living process and passes on at once when it was killed", () =>
    withFolder(async (folder) => {
      const module = new URL("./index.js", import.meta.url).href;
      const program = ["--input-type=module", "--eval", holderProgram, module, folder];
      const child = spawn(process.execPath, program, { stdio: ["ignore", "pipe", "inherit"] });
      await new Promise((resolve) => child.stdout.once("data", resolve));
      await assert.rejects(new NodeDisk({ folder }).lock(), {
        code: "EVH_DATA_LOCKED",
        message: new RegExp(`process ${child.pid} on `),
      });
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
      await (await new NodeDisk({ folder }).lock()).release();
    }));

  it("goes to exactly one of many who find the same dead holder", () =>
    withFolder(async (folder) => {
      const dead: LockHolder = { ...ownHolder(), startedAt: "1" };
      await writeFile(join(folder, "everhold.lock.7"), JSON.stringify(dead));
      const attempts = await Promise.allSettled(
        Array.from({ length: 8 }, () => new NodeDisk({ folder }).lock()),
      );
      assert.equal(attempts.filter((attempt) => attempt.status === "fulfilled").length, 1);
      const files = await readdir(folder);
      assert.deepEqual(files, ["everhold.lock.8", "everhold.lock.room"], "no drafts, no relics");
    }));

  it("has room for the next one, which is not given up in between", () =>
    withFolder(async (folder) => {
      const room = join(folder, "everhold.lock.room");
      const first = await new NodeDisk({ folder }).lock();
      await rm(room);
      await first.release();
      const before = await stat(room);
      const second = await new NodeDisk({ folder }).lock();
      await second.release();
      const { ino, mtimeMs, size } = await stat(room);
      assert.deepEqual(
        { ino, mtimeMs, size },
        { ino: before.ino, mtimeMs: before.mtimeMs, size: 1024 },
      );
      await writeFile(room, "");
      await (await new NodeDisk({ folder }).lock()).release();
      assert.equal((await stat(room)).size, 1024);
    }));

  it("whose file was cut off by a power failure belongs to nobody", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "everhold.lock.3"), "");
      const lock = await new NodeDisk({ folder }).lock();
      const holder = parseHolder(await readFile(join(folder, "everhold.lock.4"), "utf8"));
      assert.deepEqual(holder, ownHolder());
      await lock.release();
    }));

  it("that somebody took over is known to be theirs, and is not given back", () =>
    withFolder(async (folder) => {
      const lock = await new NodeDisk({ folder }).lock();
      await lock.check();
      const successor: LockHolder = { ...ownHolder(), pid: 4711, host: "elsewhere" };
      await writeFile(join(folder, "everhold.lock.2"), JSON.stringify(successor));
      await rm(join(folder, "everhold.lock.1"));
      await assert.rejects(lock.check(), {
        code: "EVH_DATA_LOCKED",
        message: /process 4711 on elsewhere uses it/,
      });
      await lock.release();
      assert.deepEqual(await readdir(folder), ["everhold.lock.2", "everhold.lock.room"]);
    }));

  it("sweeps away the drafts of processes that were killed, and of no others", () =>
    withFolder(async (folder) => {
      const left = join(folder, "everhold.lock.left.draft");
      const fresh = join(folder, "everhold.lock.fresh.draft");
      await writeFile(left, "");
      await utimes(left, 1, 1);
      await writeFile(fresh, "");
      const lock = await new NodeDisk({ folder }).lock();
      assert.deepEqual(await readdir(folder), [
        "everhold.lock.1",
        "everhold.lock.fresh.draft",
        "everhold.lock.room",
      ]);
      await lock.release();
    }));
});

describe("the state of a lock's holder", () => {
  const own = ownHolder();

  it("a holder that gave the lock back is dead, whatever else is said of it", () => {
    assert.equal(holderState({ ...own, released: true }, own), "dead");
  });

  it(
    "a pid that was given to another process does not keep the lock",
    { skip: own.startedAt === "" },
    () => {
      assert.equal(holderState(own, own), "alive");
      assert.equal(holderState({ ...own, startedAt: "1" }, own), "dead");
    },
  );

  it("a process that does not exist is dead", () => {
    assert.equal(holderState({ ...own, pid: 2 ** 30 }, own), "dead");
  });

  it("a holder in another container cannot be judged by its pid", () => {
    const here = { ...own, pidSpace: "boot pid:[1]" };
    assert.equal(holderState({ ...own, pidSpace: "boot pid:[2]" }, here), "unknown");
    assert.equal(
      holderState({ ...own, pidSpace: "", host: "elsewhere" }, { ...own, pidSpace: "" }),
      "unknown",
    );
  });

  it("text that is no holder is refused", () => {
    for (const text of ["", "null", "{}", '{"pid":"1"}', JSON.stringify({ ...own, pid: -1 })]) {
      assert.equal(parseHolder(text), undefined);
    }
  });
});
