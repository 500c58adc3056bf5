import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sessionFolder } from "./session-folder.ts";

const session = {
  sessionId: -0x7fff_ffff_ffff_fff0n,
  password: Uint8Array.from({ length: 16 }, (_, index) => index * 16),
  sessionTimeout: 18_000,
};

/** Calls with a folder that does not exist yet, and that goes afterwards. */
async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const parent = mkdtempSync(join(tmpdir(), "everhold-session-"));
  try {
    await work(join(parent, "made", "here"));
  } finally {
    rmSync(parent, { recursive: true });
  }
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder).filter((name) => !name.startsWith("everhold.lock"));

test("what is stored is loaded by the next client, and nobody else can read it", async () => {
  await inFolder(async (folder) => {
    const first = sessionFolder(folder);
    assert.equal(await first.load(), undefined);
    await first.save({ ...session, sessionId: 5n });
    await first.save(session);
    assert.deepEqual(filesIn(folder), ["session.json"]);
    assert.equal(statSync(join(folder, "session.json")).mode & 0o777, 0o600);
    await first.close();
    const second = sessionFolder(folder);
    assert.deepEqual(await second.load(), session);
    await second.save(undefined);
    await second.save(undefined);
    assert.deepEqual(filesIn(folder), []);
    await second.close();
    assert.equal(await second.load(), undefined);
    await second.close();
  });
});

test("a folder that a client uses is refused to others, which harm nothing", async () => {
  await inFolder(async (folder) => {
    const first = sessionFolder(folder);
    await first.load();
    await first.save(session);
    await assert.rejects(sessionFolder(folder).load(), { code: "EVH_DATA_LOCKED" });
    await assert.rejects(first.load(), { code: "EVH_DATA_LOCKED" });
    await first.close();
    const next = sessionFolder(folder);
    assert.deepEqual(await next.load(), session);
    await next.close();
  });
});

test("a file of another form is refused by its name, and the folder is free again", async () => {
  await inFolder(async (folder) => {
    const store = sessionFolder(folder);
    await store.load();
    await store.save(session);
    await store.close();
    const path = join(folder, "session.json");
    for (const text of ["", "{}", '{"format":2}\n', "secret"]) {
      writeFileSync(path, text);
      await assert.rejects(store.load(), (error: Error & { code?: string }) => {
        assert.equal(error.code, "EVH_DATA_FORMAT");
        assert.ok(error.message.includes(path) && !error.message.includes("secret"));
        return true;
      });
    }
    rmSync(path);
    assert.equal(await store.load(), undefined);
    await store.close();
  });
});

test("a place that is no folder is refused, and what can be no place at once", async () => {
  await inFolder(async (folder) => {
    const store = sessionFolder(folder);
    await store.load();
    const file = join(folder, "file");
    writeFileSync(file, "");
    await assert.rejects(sessionFolder(file).load(), { code: "EVH_DATA_FOLDER" });
    rmSync(folder, { recursive: true });
    await assert.rejects(store.save(session), { code: "EVH_DATA_FOLDER" });
    await assert.rejects(store.close(), { code: "EVH_DATA_FOLDER" });
  });
  assert.throws(() => sessionFolder(""), TypeError);
  assert.throws(() => sessionFolder(7 as never), TypeError);
});
