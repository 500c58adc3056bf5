import assert from "node:assert/strict";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { deferred } from "@everhold/base";
import type { LogFields } from "@everhold/env";
import { isPassword } from "@everhold/node";

import { connect } from "../connect.ts";
import { startBroker } from "../start-broker.ts";
import { UsersFile } from "./edit-users.ts";
import { usersFile } from "./find-users.ts";
import { parseUsers, readUsersFile } from "./users-file.ts";

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

describe("a file of users", () => {
  let folder = "";
  let count = 0;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "everhold-users-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  function newFile(): UsersFile {
    count += 1;
    return new UsersFile(join(folder, `users-${count}.yaml`));
  }

  test("gets users, other passwords for them, and loses them; nobody else may read it", async () => {
    const file = newFile();
    assert.deepEqual(file.names(), []);
    await file.add("ann", "secret");
    await file.add("7", "seven");
    assert.deepEqual(file.names(), ["7", "ann"]);
    assert.equal(statSync(file.path).mode & 0o777, 0o600);
    assert.doesNotMatch(readFileSync(file.path, "utf8"), /secret|seven/);
    await file.setPassword("7", "new");
    const hash = readUsersFile(file.path).get("7");
    assert.ok(hash !== undefined);
    assert.equal(await isPassword("new", hash), true);
    assert.equal(await isPassword("seven", hash), false);
    file.remove("ann");
    file.remove("7");
    assert.deepEqual(file.names(), []);
    assert.equal(readdirSync(folder).filter((name) => name.endsWith(".new")).length, 0);
  });

  test("keeps what people wrote besides", async () => {
    const file = newFile();
    await file.add("ann", "secret");
    const text = readFileSync(file.path, "utf8").replace("  ann:", "  # the shop\n  ann:");
    writeFileSync(file.path, text);
    await file.add("bob", "secret");
    assert.match(readFileSync(file.path, "utf8"), /# the shop\n {2}ann:/);
  });

  test("does not have a user twice, nor one that is not there", async () => {
    const file = newFile();
    await file.add("ann", "secret");
    const textBefore = readFileSync(file.path, "utf8");
    await assert.rejects(file.add("ann", "other"), { code: "EVH_ILLEGAL_STATE" });
    await assert.rejects(file.setPassword("bob", "other"), { code: "EVH_ILLEGAL_STATE" });
    assert.throws(() => file.remove("bob"), { code: "EVH_ILLEGAL_STATE" });
    await assert.rejects(file.add("", "x"), { code: "EVH_CONFIG" });
    await assert.rejects(file.add("a\nb", "x"), { code: "EVH_CONFIG" });
    await assert.rejects(file.add("bob", ""), { code: "EVH_CONFIG" });
    assert.equal(readFileSync(file.path, "utf8"), textBefore);
  });

  test("is changed by one at a time", async () => {
    const file = newFile();
    writeFileSync(`${file.path}.new`, "");
    await assert.rejects(
      file.add("ann", "x"),
      /another change is under way.*users-\d+\.yaml\.new can be/,
    );
    rmSync(`${file.path}.new`);
    await file.add("ann", "x");
  });

  test("that is wrong is refused with its place, and shows no password", () => {
    for (const [text, expected] of [
      ["users: [a]", /^f:1:8: users: found a list, expected a map$/],
      ["user: {}", /^f:1:1: unknown key user; allowed: users$/],
      ["users: { ann: { pass: x } }", /^f:1:17: unknown key pass; allowed: password$/],
      ["users: { ann: {} }", /^f:1:\d+: users\.ann\.password: found no hash such as \$scrypt\$/],
      ["users: { ann: { password: hunter2 } }", /make one with `everhold user passwd ann`$/],
    ] as const) {
      assert.throws(
        () => parseUsers(text, "f"),
        (error) => {
          assert.ok(error instanceof Error);
          assert.match(error.message, expected);
          assert.doesNotMatch(error.message, /hunter2/);
          return true;
        },
      );
    }
  });
});

describe("a broker with a file of users", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "everhold-logins-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  const config = {
    acceptors: { core: { url: "tcp://127.0.0.1:0" } },
    journal: { sync: "none", fileSize: "1MiB" },
  };

  test("lets its users in, may be reached from outside, and notices changes", async () => {
    const file = await usersFile({ config, folder, environment: {} });
    assert.equal(file.path, join(folder, "everhold-users.yaml"));
    await file.add("ann", "secret");
    let changed = deferred<void>();
    const unreadable = deferred<LogFields>();
    const log = {
      ...silent,
      info: (message: string) => {
        if (message === "The users have changed") changed.resolve();
      },
      error: (message: string, fields: LogFields = {}) => {
        if (message.startsWith("The users cannot be read")) unreadable.resolve(fields);
      },
    };
    const acceptors = { core: { url: "tcp://0.0.0.0:0" } };
    await using broker = await startBroker(
      { ...config, acceptors },
      { folder, environment: {}, log },
    );
    assert.equal(broker.loopbackOnly, false);
    assert.equal(broker.loginRequired, true);
    const port = new URL(broker.urls[0] ?? "").port;
    const tryLogin = async (username: string, password: string): Promise<string> => {
      try {
        const connection = await connect(`tcp://127.0.0.1:${port}`, {
          username,
          password,
          log: silent,
        });
        await connection.close();
        return "welcome";
      } catch (error) {
        assert.ok(error instanceof Error && "code" in error);
        return String(error.code);
      }
    };
    assert.equal(await tryLogin("ann", "secret"), "welcome");
    assert.equal(await tryLogin("ann", "wrong"), "EVH_SECURITY");
    await assert.rejects(connect(`tcp://127.0.0.1:${port}`, { log: silent }), {
      code: "EVH_SECURITY",
    });
    file.remove("ann");
    await file.add("bob", "secret");
    for (;;) {
      // It may have looked between the two changes, and look again while it refuses.
      const next = deferred<void>();
      changed = next;
      if ((await tryLogin("bob", "secret")) === "welcome") break;
      await next.promise;
    }
    assert.equal(await tryLogin("ann", "secret"), "EVH_SECURITY");
    renameSync(file.path, `${file.path}.away`);
    assert.match(String((await unreadable.promise)["reason"]), /does not exist/);
    assert.equal(await tryLogin("bob", "secret"), "welcome");
    assert.equal(await tryLogin("ann", "secret"), "EVH_SECURITY");
    rmSync(`${file.path}.away`);
  });

  test("without users it listens on loopback only, unless anonymous is allowed", async () => {
    const acceptors = { core: { url: "tcp://0.0.0.0:0" } };
    const options = { folder, environment: {}, log: silent };
    await assert.rejects(
      startBroker({ ...config, acceptors }, options),
      /^EverholdError: the configuration given: acceptor core would let anybody on the network in: .*\(everhold user add NAME\), or security\.allowAnonymous: true$/,
    );
    await using broker = await startBroker(
      { ...config, acceptors, security: { allowAnonymous: true } },
      options,
    );
    assert.equal(broker.loginRequired, false);
  });

  test("a file that the configuration names must exist", async () => {
    const security = { usersFile: "nobody.yaml" };
    await assert.rejects(startBroker({ ...config, security }, { folder, log: silent }), {
      code: "EVH_CONFIG",
    });
  });
});
