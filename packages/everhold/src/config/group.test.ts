import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError } from "@everhold/base";
import { groupConfig } from "@everhold/member";

import { loadConfig, type ResolvedConfig } from "./load-config.ts";

const least = {
  name: "orders",
  member: "anna",
  secret: "0123456789abcdef",
  links: { url: "tcp://127.0.0.1:61700" },
  folder: "shared",
};

function load(group: object, more: object = {}): ResolvedConfig {
  return loadConfig({ config: { group, ...more }, environment: {}, folder: "/srv" });
}

function problem(group: object, more: object = {}): string {
  try {
    load(group, more);
  } catch (error) {
    assert.ok(EverholdError.is(error, "EVH_CONFIG"), String(error));
    return error.message;
  }
  return assert.fail("the configuration was accepted");
}

describe("group", () => {
  it("makes a broker a member, and leaves one alone that has none", () => {
    const { group } = load(least);
    assert.equal(group?.name, "orders");
    assert.deepEqual(group.settling, { kind: "folder", folder: "/srv/shared" });
    const { id, founds, secret, links, clients } = groupConfig(group.options);
    assert.deepEqual(
      { id, founds, links, clients },
      {
        id: "anna",
        founds: false,
        links: { host: "127.0.0.1", port: 61_700 },
        clients: "127.0.0.1:61616",
      },
    );
    assert.equal(secret.length, 16);
    assert.equal(loadConfig({ config: {}, environment: {}, folder: "/srv" }).group, undefined);
  });

  it("takes ZooKeeper, its session and its login, and times of its own", () => {
    const zookeeper = {
      servers: "zk-1,zk-2:2182/everhold",
      sessionTimeout: "8s",
      user: "everhold",
      password: "word",
    };
    const { folder: _folder, ...rest } = least;
    const { group } = load({ ...rest, zookeeper, timing: { beat: "50ms", grace: "2s" } });
    assert.deepEqual(group?.settling, {
      kind: "zookeeper",
      servers: zookeeper.servers,
      sessionTimeoutMs: 8000,
      login: { user: "everhold", password: "word" },
    });
    const { timing } = groupConfig(group.options);
    assert.equal(timing.beatMs, 50);
    assert.equal(timing.graceMs, 2000);
    assert.equal(timing.leaseMs, 400);
  });

  it("tells clients of the connector, and other members of what is announced", () => {
    const { group } = load(
      { ...least, links: { url: "tcp://0.0.0.0:61700", announce: "anna.example:61700" } },
      { connector: "tcp://anna.example:61616" },
    );
    assert.equal(group?.options.replication, "anna.example:61700");
    assert.equal(group?.options.clients, "anna.example:61616");
    assert.deepEqual(group.connector, { host: "anna.example", port: 61_616, tls: false });
  });

  it("tells clients of the first acceptor, where there is no connector", () => {
    const { group } = load(least, { acceptors: { core: { url: "tcp://127.0.0.1:61999" } } });
    assert.deepEqual(group?.connector, { host: "127.0.0.1", port: 61_999, tls: false });
  });

  it("is refused where it says what cannot be", () => {
    const { folder: _folder, ...rest } = least;
    const open = {
      acceptors: { core: { url: "tcp://0.0.0.0:61616" } },
      security: { allowAnonymous: true },
    };
    const everywhere = { connector: "tcp://[::0]:61616" };
    const cases: readonly (readonly [object, RegExp, object?])[] = [
      [{ ...least, secret: "too short" }, /group\.secret: found 9 bytes, expected 16 to 1024/],
      [rest, /found neither of zookeeper and folder, expected one/],
      [{ ...least, zookeeper: { servers: "zk" } }, /found both of zookeeper and folder/],
      [{ ...rest, zookeeper: { servers: "zk", user: "u" } }, /one of user and password/],
      [{ ...least, links: { url: "tcp://0.0.0.0:1" } }, /group\.links\.announce: found nothing/],
      [{ ...least, links: { url: "tls://127.0.0.1:1" } }, /found TLS without a certificate/],
      [{ ...least, links: { ...least.links, announce: "nowhere" } }, /host:port/],
      ...["0.0.0.0:61700", "0:61700", "[::]:61700", "[0:0:0:0:0:0:0:0]:61700", "[::0.0.0.0]:1"].map(
        (announce): [object, RegExp] => [
          { ...least, links: { ...least.links, announce } },
          /announce: found .*, expected host:port at which the other members reach this one/,
        ],
      ),
      [{ ...least, links: { ...least.links, announce: "anna:0" } }, /host:port/],
      [{ ...least, links: { ...least.links, announce: "anna:70000" } }, /host:port/],
      [{ ...least, links: { url: "tcp://[::0]:61700" } }, /group\.links\.announce: found nothing/],
      [least, /connector: found .*, expected a URL at which clients reach/, everywhere],
      [least, /connector: found nothing, expected the URL at which clients reach/, open],
      [
        least,
        /since the system chooses the port/,
        { acceptors: { core: { url: "tcp://127.0.0.1:0" } } },
      ],
      [{ ...least, minInSync: 0 }, /a whole number from 1 to 16/],
      [{ ...least, timing: { beat: "1ms" } }, /from 10ms to 10m/],
      [{ ...least, leader: true }, /leader/],
    ];
    for (const [group, said, more] of cases) assert.match(problem(group, more), said);
  });
});
