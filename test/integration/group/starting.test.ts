import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import { startBroker } from "everhold";

import { freePort } from "../free-port.ts";
import { GroupProcesses } from "./group-processes.ts";
import { Traffic } from "./traffic.ts";
import { until } from "./until.ts";

const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };

describe("a member that starts", () => {
  it("says what it waits for, and stops when it is told to", async () => {
    const group = await GroupProcesses.make(["anna", "bert"], 1);
    try {
      const bert = group.members[1];
      assert.ok(bert !== undefined);
      bert.start();
      const isTold = (): boolean =>
        bert.lines.some((line) => line.includes("waits until its group is founded"));
      await until("it says so", isTold, () => group.story);
      assert.equal(await bert.end("SIGTERM"), 0, group.story);
    } finally {
      await group.end();
    }
  });

  it("gives its folder back when its start fails, and when it is given up", async () => {
    const folder = mkdtempSync(join(tmpdir(), "everhold-start-"));
    const occupied = createServer();
    try {
      const port = await listen(occupied);
      const founding = await config(folder, true);
      const blocked = { ...founding, group: { ...founding.group, links: linksAt(port) } };
      await assert.rejects(startBroker(blocked, { log: silent }), { code: "EVH_PORT_IN_USE" });
      const ending = new AbortController();
      const waiting = await config(folder, false);
      const start = startBroker(
        { ...waiting, group: { ...waiting.group, name: "another" } },
        { log: silent, signal: ending.signal },
      );
      ending.abort();
      await assert.rejects(start, { code: "EVH_ABORTED" });
      const broker = await startBroker(founding, { log: silent });
      await until(
        "it serves",
        () => broker.urls.length > 0,
        () => "",
      );
      await broker.stop();
    } finally {
      occupied.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("a member whose configuration contradicts the group", () => {
  it("is refused where another process has its id, and the group goes on", async () => {
    const twin = (index: number) => (index === 2 ? { group: { member: "bert" } } : {});
    const group = await GroupProcesses.make(
      ["anna", "bert", "twin"],
      2,
      undefined,
      undefined,
      twin,
    );
    const story = (): string => group.story;
    try {
      const [anna, bert, other] = group.members;
      assert.ok(anna !== undefined && bert !== undefined && other !== undefined);
      anna.start();
      bert.start();
      await until("both in sync", () => group.inSync.length === 2, story);
      await using traffic = await Traffic.start(group);
      await traffic.send(10);
      const sending = traffic.send(100);
      other.start();
      await until("the twin has ended", () => !other.isRunning, story);
      assert.equal(await other.end("SIGTERM"), 1, story());
      assert.match(
        other.lines.join("\n"),
        /EVH_MEMBER_EXISTS.*one process at a time may have an id/,
      );
      await sending;
      await traffic.send(10);
      await traffic.end();
      await until("both in sync again", () => group.inSync.length === 2, story);
      assert.ok(anna.isRunning && bert.isRunning, story());
    } finally {
      await group.end();
    }
  });

  it("is refused where the group was founded with another minInSync", async () => {
    const another = (index: number) => (index === 1 ? { group: { minInSync: 2 } } : {});
    const group = await GroupProcesses.make(["anna", "bert"], 1, undefined, undefined, another);
    const story = (): string => group.story;
    try {
      const [anna, bert] = group.members;
      assert.ok(anna !== undefined && bert !== undefined);
      anna.start();
      await until("it serves", () => anna.isServing, story);
      bert.start();
      await until("the other one has ended", () => !bert.isRunning, story);
      assert.equal(await bert.end("SIGTERM"), 1, story());
      assert.match(bert.lines.join("\n"), /group\.minInSync: found 2, expected 1, with which/);
    } finally {
      await group.end();
    }
  });
});

async function config(folder: string, founds: boolean) {
  const port = await freePort();
  return {
    data: join(folder, "data"),
    acceptors: { core: { url: `tcp://127.0.0.1:${port}` } },
    group: {
      name: "orders",
      member: "anna",
      founds,
      secret: "a secret of this test",
      links: linksAt(await freePort()),
      folder: join(folder, "group"),
    },
  };
}

function linksAt(port: number): { readonly url: string } {
  return { url: `tcp://127.0.0.1:${port}` };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return address.port;
}

function nothing(): void {
  // Nobody reads it.
}
