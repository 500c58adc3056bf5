import assert from "node:assert/strict";
import { scryptSync } from "node:crypto";
import { describe, it } from "node:test";
import type { LoginVerdict } from "@everhold/env";

import { limits } from "../limits.ts";
import { NodeLogins, type LoginRules } from "./node-logins.ts";
import {
  formatPasswordHash,
  hashPassword,
  isPassword,
  parsePasswordHash,
  type PasswordHash,
} from "./password-hash.ts";

const log = { error: () => undefined };

/** A hash that is quick to check: tests must not take longer than what they show. */
function quickHash(password: string): PasswordHash {
  const salt = new Uint8Array(16).fill(password.length);
  const cost = 1024;
  const hash = scryptSync(password, salt, 32, { cost, blockSize: 1, parallelization: 1 });
  return { cost, blockSize: 1, parallelization: 1, salt, hash };
}

function loginsOf(users: Readonly<Record<string, string>>, rest: Partial<LoginRules> = {}) {
  const hashes = Object.entries(users).map(
    ([user, password]) => [user, quickHash(password)] as const,
  );
  return new NodeLogins({ users: new Map(hashes), allowAnonymous: false, ...rest }, log);
}

function verdictOf(
  logins: NodeLogins,
  user: string | null,
  password: string | null,
): Promise<LoginVerdict> {
  return new Promise((resolve) => logins.check(user, password, resolve));
}

describe("a password's hash", () => {
  it("is made and read again, and only its password fits", async () => {
    const text = formatPasswordHash(await hashPassword("geheim"));
    assert.match(text, /^\$scrypt\$ln=14,r=8,p=5\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    const hash = parsePasswordHash(text);
    assert.ok(hash !== undefined);
    assert.equal(formatPasswordHash(hash), text);
    assert.equal(await isPassword("geheim", hash), true);
    assert.equal(await isPassword("Geheim", hash), false);
  });

  it("is the one that scrypt's specification gives", async () => {
    // RFC 7914, section 12: the second vector, of which this takes all 64 bytes.
    const expected =
      "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640";
    const hash = Buffer.from(expected, "hex");
    const salt = new TextEncoder().encode("NaCl");
    const known = { cost: 1024, blockSize: 8, parallelization: 16, salt, hash };
    assert.equal(await isPassword("password", known), true);
  });

  it("is the same however a letter was typed", async () => {
    assert.equal(await isPassword("caf\u0065\u0301", quickHash("caf\u00e9")), true);
  });

  it("is none when it is weak, costly, short or damaged", () => {
    const good = formatPasswordHash(quickHash("x"));
    assert.ok(parsePasswordHash(good) !== undefined);
    for (const bad of [
      "",
      "secret",
      good.replace("ln=10", "ln=9"),
      good.replace("ln=10", "ln=40"),
      good.replace("r=1", "r=0"),
      good.replace("p=1", "p=17"),
      good.replace("scrypt", "argon2id"),
      good.slice(0, -30),
      `${good}!`,
    ]) {
      assert.equal(parsePasswordHash(bad), undefined, bad);
    }
  });
});

describe("logins", () => {
  it("of users with their passwords are welcome, all others refused", async () => {
    const logins = loginsOf({ ann: "secret" });
    assert.equal(logins.isRequired, true);
    assert.equal(await verdictOf(logins, "ann", "secret"), "welcome");
    assert.equal(await verdictOf(logins, "ann", "secret"), "welcome");
    for (const [user, password] of [
      ["ann", "wrong"],
      ["ann", null],
      ["ann", ""],
      ["bob", "secret"],
      [null, "secret"],
      ["", ""],
      [null, null],
      ["__proto__", "secret"],
      ["ann", "x".repeat(limits.passwordCharsMax + 1)],
    ] as const) {
      assert.equal(await verdictOf(logins, user, password), "refused", `${user} ${password}`);
    }
  });

  it("are not asked for where there are no users", async () => {
    const logins = new NodeLogins({ users: undefined, allowAnonymous: false }, log);
    assert.equal(logins.isRequired, false);
    assert.equal(await verdictOf(logins, "who", "ever"), "welcome");
  });

  it("without a name are welcome only where that is said, and a name needs its password", async () => {
    const logins = loginsOf({ ann: "secret" }, { allowAnonymous: true });
    assert.equal(await verdictOf(logins, null, null), "welcome");
    assert.equal(await verdictOf(logins, "", ""), "welcome");
    assert.equal(await verdictOf(logins, "ann", "wrong"), "refused");
    assert.equal(await verdictOf(logins, "bob", ""), "refused");
  });

  it("that were right are forgotten when the users change", async () => {
    const logins = loginsOf({ ann: "secret" });
    assert.equal(await verdictOf(logins, "ann", "secret"), "welcome");
    const users = new Map([["ann", quickHash("other")]]);
    logins.replace({ users, allowAnonymous: false });
    assert.equal(await verdictOf(logins, "ann", "secret"), "refused");
    assert.equal(await verdictOf(logins, "ann", "other"), "welcome");
    logins.replace({ users: new Map(), allowAnonymous: false });
    assert.equal(await verdictOf(logins, "ann", "other"), "refused");
  });

  it("compare with passwords of the configuration as well", async () => {
    const users = new Map([["ann", { password: "plain" }]]);
    const logins = new NodeLogins({ users, allowAnonymous: false }, log);
    assert.equal(await verdictOf(logins, "ann", "plain"), "welcome");
    assert.equal(await verdictOf(logins, "ann", "plainer"), "refused");
  });

  it("get their verdict later, never within the call, and beyond those that may wait are put off", async () => {
    const logins = loginsOf({ ann: "secret" });
    let isWithin = true;
    const verdicts: LoginVerdict[] = [];
    const count = limits.loginsWaitingMax + limits.passwordChecksAtOnce + 1;
    const users = new Map([["ann", { password: "plain" }]]);
    const all = Array.from({ length: count }, async (_, index) => {
      const verdict = await new Promise<LoginVerdict>((resolve) => {
        logins.check("ann", `guess ${index}`, (found) => {
          assert.equal(isWithin, false);
          resolve(found);
        });
      });
      verdicts.push(verdict);
    });
    isWithin = false;
    // An equal login that waits already costs nothing, so it is not put off.
    all.push(verdictOf(logins, "ann", "guess 7").then((verdict) => void verdicts.push(verdict)));
    await Promise.all(all);
    assert.equal(verdicts.filter((verdict) => verdict === "later").length, 1);
    assert.equal(verdicts.filter((verdict) => verdict === "refused").length, count);
    logins.replace({ users, allowAnonymous: false });
    assert.equal(await verdictOf(logins, "ann", "plain"), "welcome");
  });

  it("that nobody waits for any more are not checked, and make room for others", async () => {
    const logins = loginsOf({ ann: "secret" });
    const giveUps = Array.from({ length: limits.loginsWaitingMax }, (_, index) =>
      logins.check("ann", `guess ${index}`, () => assert.fail("nobody waits")),
    );
    // Some of them are being checked already.
    for (let index = 0; index < limits.passwordChecksAtOnce; index += 1) {
      logins.check("ann", `last ${index}`, () => undefined);
    }
    assert.equal(await verdictOf(logins, "ann", "too many"), "later");
    for (const giveUp of giveUps) giveUp();
    assert.equal(await verdictOf(logins, "ann", "secret"), "welcome");
    assert.equal(await verdictOf(logins, "ann", "wrong"), "refused");
  });

  it("that are wrong take their time also where the configuration holds the password", async () => {
    const secrets = { users: new Map([["ann", { password: "plain" }]]), allowAnonymous: false };
    const logins = new NodeLogins(secrets, log);
    const giveUps = Array.from(
      { length: limits.loginsWaitingMax + limits.passwordChecksAtOnce },
      (_, index) => logins.check("bob", `guess ${index}`, () => undefined),
    );
    // Both in this step: in a later one a guess may have been checked and have made room.
    const verdicts = [verdictOf(logins, "ann", "plain"), verdictOf(logins, "ann", "wrong")];
    assert.deepEqual(await Promise.all(verdicts), ["welcome", "later"]);
    for (const giveUp of giveUps) giveUp();
  });
});
