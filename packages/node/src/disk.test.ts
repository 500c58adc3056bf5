import assert from "node:assert/strict";
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import type { DiskFile } from "@everhold/env";
import { diskError } from "./disk-error.ts";
import { NodeDisk } from "./disk.ts";
import { withFolder } from "./temporary-folder.test-support.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function write(file: DiskFile, bytes: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    file.write(bytes, position, (error, count) => (error ? reject(error) : resolve(count)));
  });
}

function read(file: DiskFile, into: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    file.read(into, position, (error, count) => (error ? reject(error) : resolve(count)));
  });
}

describe("NodeDisk", () => {
  for (const syncMode of ["dsync", "datasync", "none"] as const) {
    it(`what is written can be read again (${syncMode})`, () =>
      withFolder(async (folder) => {
        const disk = new NodeDisk({ folder, syncMode });
        const file = await disk.create("a.journal");
        assert.equal(file.sizeBytes, 0);
        assert.equal(await write(file, text("hello"), 3), 5);
        assert.equal(file.sizeBytes, 8);
        const into = new Uint8Array(10);
        assert.equal(await read(file, into, 0), 8, "fewer bytes only at the end of the file");
        assert.deepEqual(into.subarray(0, 8), text("\0\0\0hello"));
        await file.sync();
        await file.close();
        const again = await disk.open("a.journal");
        assert.equal(again.sizeBytes, 8);
        await again.truncate(4);
        assert.equal(again.sizeBytes, 4);
        await again.close();
        assert.deepEqual(
          new Uint8Array(await readFile(join(folder, "a.journal"))),
          text("\0\0\0h"),
        );
      }));
  }

  it("a folder that does not exist is made and is empty", () =>
    withFolder(async (folder) => {
      const disk = new NodeDisk({ folder: join(folder, "deep", "data") });
      assert.deepEqual(await disk.list(), []);
      assert.ok((await stat(disk.location)).isDirectory());
    }));

  it("a folder that the system will not make is a typed error, not an endless attempt", async () => {
    const disk = new NodeDisk({ folder: "/proc/nowhere/data" });
    await assert.rejects(disk.lock(), (error) => EverholdError.is(error, "EVH_DATA_FOLDER"));
  });

  it("lists files sorted, without folders and without those of the lock", () =>
    withFolder(async (folder) => {
      const disk = new NodeDisk({ folder });
      const lock = await disk.lock();
      await mkdir(join(folder, "c"));
      for (const name of ["b", "a"]) await (await disk.create(name)).close();
      assert.deepEqual(await disk.list(), ["a", "b"]);
      await disk.rename("a", "d");
      await disk.remove("b");
      assert.deepEqual(await disk.list(), ["d"]);
      await lock.release();
    }));

  it("a second name is given once, whoever wants it, and the file keeps it without the first", () =>
    withFolder(async (folder) => {
      const disk = new NodeDisk({ folder });
      const names = ["a", "b", "c"];
      for (const name of names) await writeFile(join(folder, name), name);
      const given = await Promise.all(names.map((name) => disk.link(name, "newest")));
      assert.equal(given.filter(Boolean).length, 1);
      const winner = names[given.indexOf(true)] ?? "";
      await disk.remove(winner);
      assert.equal(await readFile(join(folder, "newest"), "utf8"), winner);
      await assert.rejects(disk.link("none", "other"), {
        code: "EVH_IO",
        message: /link to other/,
      });
      await disk.sync();
    }));

  it("rename replaces what had the name", () =>
    withFolder(async (folder) => {
      const disk = new NodeDisk({ folder });
      await writeFile(join(folder, "old"), "old");
      await writeFile(join(folder, "new"), "new");
      await disk.rename("new", "old");
      assert.equal(await readFile(join(folder, "old"), "utf8"), "new");
      assert.deepEqual(await disk.list(), ["old"]);
    }));

  it("free space is a positive number of bytes", () =>
    withFolder(async (folder) => {
      const disk = new NodeDisk({ folder });
      const freeBytes = await disk.freeBytes();
      assert.ok(freeBytes > 0);
      assert.ok((await disk.sizeBytes()) >= freeBytes);
    }));

  it("an existing name is not made again, a missing one is not opened", () =>
    withFolder(async (folder) => {
      const disk = new NodeDisk({ folder });
      await (await disk.create("a")).close();
      await assert.rejects(disk.create("a"), {
        code: "EVH_IO",
        message: /create .*exists already/,
      });
      await assert.rejects(disk.open("b"), { code: "EVH_IO", message: /open .*does not exist/ });
      await assert.rejects(disk.remove("b"), { code: "EVH_IO" });
    }));

  it("a name that leads out of the folder is refused", () =>
    withFolder(async (folder) => {
      const disk = new NodeDisk({ folder: join(folder, "data") });
      for (const name of ["../a", "a/b", "", ".", "..", "a\0b", "a\\b"]) {
        await assert.rejects(disk.create(name), { code: "EVH_IO", message: /plain file name/ });
      }
    }));

  it("a folder that cannot be made or written gives the cure", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "file"), "");
      const inFile = new NodeDisk({ folder: join(folder, "file", "data") });
      await assert.rejects(inFile.lock(), {
        code: "EVH_DATA_FOLDER",
        message: /choose another folder/,
      });
      if (process.getuid?.() === 0) return; // root may write everywhere
      await chmod(folder, 0o500);
      const readOnly = new NodeDisk({ folder });
      await assert.rejects(readOnly.lock(), { code: "EVH_DATA_FOLDER", message: /permission/ });
      await chmod(folder, 0o700);
    }));

  it("a full disk has a code of its own, other failures name file and cause", () => {
    const full = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    assert.equal(diskError("EVH_IO", "write to", "/d/a", full).code, "EVH_DISK_FULL");
    const odd = diskError("EVH_IO", "write to", "/d/a", new Error("odd"));
    assert.equal(odd.code, "EVH_IO");
    assert.equal(odd.message, "cannot write to /d/a: odd");
  });

  it("reads and writes under way complete before a file closes, later ones are refused", () =>
    withFolder(async (folder) => {
      const file = await new NodeDisk({ folder }).create("a");
      const events: string[] = [];
      const written = write(file, text("x"), 0).then(() => events.push("written"));
      const closed = file.close().then(() => events.push("closed"));
      assert.equal(file.close(), file.close(), "closing again does nothing more");
      await Promise.all([written, closed]);
      assert.deepEqual(events, ["written", "closed"]);
      const isClosed = (error: unknown): boolean => EverholdError.is(error, "EVH_CLOSED");
      await assert.rejects(write(file, text("y"), 0), isClosed);
      await assert.rejects(read(file, new Uint8Array(1), 0), isClosed);
      await assert.rejects(file.sync(), isClosed);
    }));

  it("a callback never comes before its call has returned", () =>
    withFolder(async (folder) => {
      const file = await new NodeDisk({ folder }).create("a");
      let returned = false;
      const seen = new Promise<boolean>((resolve) => {
        file.write(text("x"), 0, () => resolve(returned));
        returned = true;
      });
      assert.equal(await seen, true);
      await file.close();
    }));
});
