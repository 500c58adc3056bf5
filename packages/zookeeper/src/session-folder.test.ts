import assert from "node:assert/strict";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { mock, test } from "node:test";
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
    const left = readFileSync(join(folder, "session.json"), "utf8");
    assert.equal(left, '{"format":1}\n', "nothing that could be taken over");
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
    const refusal = {
      code: "EVH_DATA_LOCKED",
      message: new RegExp(`process ${process.pid} on ${hostname()} uses it`),
    };
    await assert.rejects(sessionFolder(folder).load(), refusal);
    await assert.rejects(first.load(), refusal);
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
    const written = readFileSync(path, "utf8");
    const altered = [
      written.replace("18000", "2147483648"),
      written.replace("18000", "0"),
      written.replace(/"sessionId":"\w+"/, '"sessionId":"0"'),
    ];
    for (const text of ["", "{}", '{"format":2}\n', "secret", ...altered]) {
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

/** As another process does it that takes this one for ended. */
function takeOver(folder: string): void {
  const successor = { pid: 4711, host: "elsewhere", startedAt: "", pidSpace: "", released: false };
  writeFileSync(join(folder, "everhold.lock.2"), JSON.stringify(successor));
  rmSync(join(folder, "everhold.lock.1"));
}

test("who stood still for so long that another process has the folder leaves its session alone", async () => {
  await inFolder(async (folder) => {
    const store = sessionFolder(folder);
    await store.load();
    takeOver(folder);
    const path = join(folder, "session.json");
    writeFileSync(path, "theirs");
    const refusal = {
      code: "EVH_DATA_LOCKED",
      message: /process 4711 on elsewhere uses it/,
    };
    await assert.rejects(store.save(session), refusal);
    await assert.rejects(store.save(undefined), refusal);
    await assert.rejects(store.close(), refusal);
    assert.equal(readFileSync(path, "utf8"), "theirs");
    assert.deepEqual(filesIn(folder), ["session.json"]);
    await store.close();
  });
});

test("nor does it store anything when it stood still just before it replaced the file", async () => {
  await inFolder(async (folder) => {
    const first = sessionFolder(folder);
    await first.load();
    const second = sessionFolder(folder);
    const { rename } = fs;
    const standStill = mock.method(fs, "rename", async (from: string, to: string) => {
      standStill.mock.restore();
      syncBuiltinESMExports();
      const lock = join(folder, "everhold.lock.1");
      const holder = readFileSync(lock, "utf8");
      writeFileSync(lock, holder.replace(`"pid":${process.pid}`, `"pid":${2 ** 30}`));
      await second.load();
      await second.save({ ...session, sessionId: 2n });
      await rename(from, to);
    });
    syncBuiltinESMExports();
    await assert.rejects(first.save(session), { code: "EVH_DATA_LOCKED" });
    await assert.rejects(first.close(), { code: "EVH_DATA_LOCKED" });
    await second.close();
    assert.equal((await second.load())?.sessionId, 2n);
    await second.close();
  });
});

test("what a killed process was writing is swept away by the next one", async () => {
  await inFolder(async (folder) => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "session.json.left.draft"), "half of");
    writeFileSync(join(folder, "notes"), "");
    const store = sessionFolder(folder);
    assert.equal(await store.load(), undefined);
    assert.deepEqual(filesIn(folder), ["notes"]);
    await store.close();
  });
});

test("a session is stored only when the folder knows its file for good", async () => {
  await inFolder(async (folder) => {
    const store = sessionFolder(folder);
    await store.load();
    const steps: string[] = [];
    const { rename, open } = fs;
    mock.method(fs, "rename", async (from: string, to: string) => {
      await rename(from, to);
      steps.push("rename");
    });
    mock.method(fs, "open", async (path: string, flags: string) => {
      const file = await open(path, flags);
      const sync = file.sync.bind(file);
      mock.method(file, "sync", async () => {
        await sync();
        if (path === folder) steps.push("sync");
      });
      return file;
    });
    syncBuiltinESMExports();
    try {
      await store.save(session);
    } finally {
      mock.restoreAll();
      syncBuiltinESMExports();
    }
    assert.deepEqual(steps, ["rename", "sync"]);
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
