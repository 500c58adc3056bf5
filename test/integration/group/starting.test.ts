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
