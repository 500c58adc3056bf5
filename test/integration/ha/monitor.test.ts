import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { startBroker } from "everhold";

import { GroupProcesses } from "../group/group-processes.ts";
import { Traffic } from "../group/traffic.ts";
import { until } from "../group/until.ts";

const command = fileURLToPath(
  new URL("../../../../packages/cli/bin/everhold.mjs", import.meta.url),
);
const token = "a token of this test";
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** Runs `everhold ha …`; the exit code, and what it wrote. */
async function ha(...words: readonly string[]): Promise<{ code: number; text: string }> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [command, "ha", ...words]);
    return { code: 0, text: stdout };
  } catch (error) {
    assert.ok(
      typeof error === "object" && error !== null && "stdout" in error && "stderr" in error,
    );
    const code = "code" in error ? Number(error.code) : -1;
    return { code, text: `${String(error.stdout)}${String(error.stderr)}` };
  }
}

async function read(url: string, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(new URL(path, url));
  return { status: response.status, text: await response.text() };
}

describe("the monitors of a group", () => {
  it("tell who leads, who is ready and who lags, and have the live hand over", async () => {
    const group = await GroupProcesses.make(["anna", "bert", "cleo"], 2, undefined, token);
    const story = (): string => group.story;
    const monitors = group.members.map(({ monitorUrl }) => monitorUrl).join(",");
    try {
      for (const member of group.members) member.start();
      await until("all of them in sync", () => group.inSync.length === 3, story);
      const { live } = group;
      assert.ok(live !== undefined);
      const [backup, other] = group.members.filter((member) => member !== live);
      assert.ok(backup !== undefined && other !== undefined);
      await using traffic = await Traffic.start(group);
      await traffic.send(20);

      assert.equal((await read(live.monitorUrl, "/livez")).status, 200);
      assert.equal((await read(live.monitorUrl, "/readyz")).status, 200);
      assert.equal((await read(backup.monitorUrl, "/livez")).status, 200);
      const readiness = await read(backup.monitorUrl, "/readyz");
      assert.equal(readiness.status, 503, "a healthy backup is alive and not ready");
      assert.deepEqual(JSON.parse(readiness.text), { ready: false, role: "backup" });

      const metrics = await read(live.monitorUrl, "/metrics");
      const samples = readSamples(metrics.text);
      assert.equal(samples.get("everhold_live"), 1);
      assert.equal(samples.get("everhold_replication_in_sync"), 3);
      assert.ok(samples.has(`everhold_replication_lag_bytes{member="${backup.id}"}`), metrics.text);
      assert.ok(
        samples.has(`everhold_replication_lag_seconds{member="${backup.id}"}`),
        metrics.text,
      );
      const failovers = async (): Promise<number | undefined> => {
        const { text } = await read(backup.monitorUrl, "/metrics");
        return readSamples(text).get("everhold_group_failovers_total");
      };
      const failoversBefore = await failovers();
      assert.ok(failoversBefore !== undefined);
      assert.ok(samples.has('everhold_queue_messages{address="orders",queue="orders"}'));
      assert.equal(
        readSamples((await read(backup.monitorUrl, "/metrics")).text).get("everhold_live"),
        0,
      );

      const status = await ha("status", "--monitors", monitors);
      assert.equal(status.code, 0, status.text);
      assert.match(status.text, new RegExp(`${live.id} leads in epoch \\d+; in sync: `));

      const wrong = await ha("failover", "--monitors", monitors, "--token", "another");
      assert.equal(wrong.code, 1);
      assert.match(wrong.text, /expected the monitor's token/);
      const stranger = await ha(
        "failover",
        "--monitors",
        monitors,
        "--token",
        token,
        "--to",
        "dora",
      );
      assert.match(stranger.text, /dora is not in sync: expected one of/);
      const to = ["--monitors", monitors, "--token", token, "--to", backup.id];
      const failover = await ha("failover", "--json", ...to);
      assert.equal(failover.code, 0, `${failover.text}\n${story()}`);
      const told: unknown = JSON.parse(failover.text);
      assert.ok(typeof told === "object" && told !== null && "to" in told && "from" in told);
      assert.deepEqual([told.from, told.to], [live.id, backup.id]);
      assert.equal(await failovers(), failoversBefore + 1, story());
      await traffic.send(20);
      await traffic.end();

      await other.end("SIGKILL");
      const broken = await ha("status", "--monitors", monitors, "--json");
      assert.equal(broken.code, 1);
      const report: unknown = JSON.parse(broken.text);
      assert.ok(typeof report === "object" && report !== null && "problems" in report);
      assert.match(String(report.problems), /does not answer/);

      // The last backup stays in sync when it dies: without it nothing is answered.
      await until("the dead one is left out", () => group.inSync.length === 2, story);
      const linesBefore = backup.lines.length;
      await live.end("SIGKILL");
      const hasNoticed = (): boolean =>
        backup.lines
          .slice(linesBefore)
          .some((line) => line.includes("A link of members has ended"));
      await until("the new live has noticed it", hasNoticed, story);
      const gone = await ha("failover", "--monitors", monitors, "--token", token, "--to", live.id);
      assert.match(
        gone.text,
        new RegExp(`${live.id} is not linked to the live: expected one of nobody`),
      );
    } finally {
      await group.end();
    }
  });
});

describe("the last of a group that is not in sync", () => {
  it("leads when an operator takes the loss, and only of what the operator saw", async () => {
    const group = await GroupProcesses.make(["anna", "bert"], 1, undefined, token);
    const story = (): string => group.story;
    try {
      const [anna, bert] = group.members;
      assert.ok(anna !== undefined && bert !== undefined);
      anna.start();
      bert.start();
      await until("both in sync", () => group.inSync.length === 2, story);
      await using traffic = await Traffic.start(group);
      await traffic.send(5);
      await traffic.end();
      await bert.end("SIGKILL");
      await until("anna is alone", () => group.inSync.length === 1, story);
      await anna.end("SIGKILL");
      rmSync(anna.dataFolder, { recursive: true });
      bert.start();
      let isBack = false;
      for (let count = 0; count < 100 && !isBack; count += 1) {
        await sleep(50);
        const text = await read(bert.monitorUrl, "/ha/status").then(
          (found) => found.text,
          () => "",
        );
        isBack = text.includes('"node":{');
      }
      assert.ok(isBack, story());

      const asked = await ha("promote-uncleanly", bert.monitorUrl, "--token", token);
      assert.equal(asked.code, 2);
      assert.match(asked.text, /anna would be: what bert lacks of it is lost for good/);
      const old = new URL("/ha/promote-uncleanly?created=0&version=0", bert.monitorUrl);
      const headers = { authorization: `Bearer ${token}` };
      const refusal = await fetch(old, { method: "POST", headers });
      assert.equal(refusal.status, 409);
      assert.match(await refusal.text(), /look again/);
      assert.equal(bert.isServing, false);

      const words = ["promote-uncleanly", bert.monitorUrl, "--token", token, "--yes-lose-data"];
      const promoted = await ha(...words);
      assert.equal(promoted.code, 0, `${promoted.text}\n${story()}`);
      assert.match(promoted.text, /bert leads uncleanly since epoch/);
      assert.ok(
        bert.lines.some((line) => line.includes("An operator has this member lead")),
        "its log says so",
      );
    } finally {
      await group.end();
    }
  });
});

describe("the monitor of a broker that is alone", () => {
  it("answers what is asked, and refuses everything else with what is allowed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "everhold-monitor-"));
    const broker = await startBroker(
      {
        data: join(folder, "data"),
        acceptors: { core: { url: "tcp://127.0.0.1:0" } },
        monitor: { url: "http://127.0.0.1:0" },
      },
      { log: silent },
    );
    try {
      const { monitorUrl } = broker;
      assert.ok(monitorUrl !== undefined);
      assert.equal((await read(monitorUrl, "/readyz")).status, 200);
      assert.equal(readSamples((await read(monitorUrl, "/metrics")).text).get("everhold_up"), 1);
      assert.deepEqual(await read(monitorUrl, "/ha/status"), {
        status: 404,
        text: '{"error":"this broker is no member of a group"}\n',
      });
      const strange = await read(monitorUrl, "/admin");
      assert.equal(strange.status, 404);
      assert.match(strange.text, /expected \/livez, \/readyz, \/metrics/);
      const post = await fetch(new URL("/metrics", monitorUrl), { method: "POST", body: "x" });
      assert.equal(post.status, 405);
      await post.text();
      const handOver = await fetch(new URL("/ha/hand-over", monitorUrl), { method: "POST" });
      assert.equal(handOver.status, 403, "without a token nobody may");
      await handOver.text();
      assert.match(await raw(monitorUrl, "nonsense\r\n\r\n"), /^HTTP\/1\.1 400 /);
      assert.match(
        await raw(monitorUrl, `GET / HTTP/1.1\r\nx: ${"y".repeat(9000)}\r\n\r\n`),
        / 431 /,
      );
    } finally {
      await broker.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** The samples of the text format, by name and labels. */
function readSamples(text: string): ReadonlyMap<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const match = /^([a-z_]+(?:\{[^}]*\})?) (-?[\d.]+)$/.exec(line);
    assert.ok(match !== null, `no sample: ${line}`);
    samples.set(match[1] ?? "", Number(match[2]));
  }
  return samples;
}

/** What comes back for these bytes. */
function raw(url: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (data) => (text += data));
    socket.on("close", () => resolve(text));
    socket.on("error", reject);
    socket.write(bytes);
  });
}

function nothing(): void {
  // Nobody reads it.
}
