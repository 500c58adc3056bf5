import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { startBroker, type RunningBroker } from "everhold";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");
const run = promisify(execFile);

describe("README", () => {
  let data: string;
  let broker: RunningBroker;
  let url: string;

  before(async () => {
    data = mkdtempSync(join(tmpdir(), "everhold-readme-"));
    const acceptors = { core: { url: "tcp://127.0.0.1:0" } };
    broker = await startBroker({ data, acceptors, log: { level: "error" } });
    url = broker.urls[0] ?? "";
  });

  after(async () => {
    await broker.stop();
    rmSync(data, { recursive: true });
  });

  it("the first code block sends a message and receives it", async () => {
    const code = firstBlock("js");
    assert.ok(code.includes("connect()"), "the block connects to the default URL");
    // Beside the compiled tests, because from there `everhold` can be imported.
    const file = fileURLToPath(new URL("readme-example.mjs", import.meta.url));
    writeFileSync(file, code.replace("connect()", `connect(${JSON.stringify(url)})`));
    const { stdout, stderr } = await run(process.execPath, [file], { timeout: 60_000 });
    assert.deepEqual({ stdout, stderr }, { stdout: "{ id: 1, item: 'tea' }\n", stderr: "" });
  });

  it("the block about connections that break tells what became of it", async () => {
    const program = `import { connect } from "everhold";
${block("js", 1).replace("(tcp://one:61616,tcp://two:61616)", url)}
await connection.reconnect();
await connection.close();
`;
    const file = fileURLToPath(new URL("readme-failover.mjs", import.meta.url));
    writeFileSync(file, program);
    const { stdout } = await run(process.execPath, [file], { timeout: 60_000 });
    assert.match(stdout, /^completed tcp:\/\/127\.0\.0\.1:\d+ after \d+ ms \[\]\n$/);
  });

  it("the block about work that fails settles, moves on and sets aside, under the settings before it", async () => {
    const config = join(data, "everhold.yaml");
    const place = `data: failing\nacceptors: { core: { url: "tcp://127.0.0.1:0" } }\n`;
    writeFileSync(config, `${block("yaml", 1)}${place}log: { level: error }\n`);
    const configured = await startBroker(config);
    const file = fileURLToPath(new URL("readme-failing.mjs", import.meta.url));
    writeFileSync(file, failingProgram(configured.urls[0] ?? "", block("js", 3)));
    try {
      const { stdout } = await run(process.execPath, [file], { timeout: 60_000 });
      assert.equal(stdout, "{ total: 5 } { total: -1 } the total is negative\n");
    } finally {
      await configured.stop();
    }
  });

  it("the first commands send a message and consume it", async () => {
    const commands = firstBlock("sh").match(/npx everhold [^&#\n]+/g) ?? [];
    assert.equal(commands.length, 2);
    const bin = join(root, "packages", "cli", "bin", "everhold.mjs");
    const env = { ...process.env, EVERHOLD_URL: url };
    let output = "";
    for (const command of commands) {
      const args = command.trim().split(/\s+/).slice(2);
      const { stdout } = await run(process.execPath, [bin, ...args], { env, timeout: 60_000 });
      output += stdout;
    }
    assert.match(output, /hello/);
  });
});

function firstBlock(language: string): string {
  return block(language, 0);
}

function block(language: string, index: number): string {
  const blocks = [...readme.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))];
  const found = blocks[index]?.[1];
  assert.ok(found !== undefined, `the README has ${index + 1} blocks of ${language}`);
  return found;
}

/** Gives the code something to do, and shows what became of it. */
function failingProgram(url: string, code: string): string {
  return `import { connect } from "everhold";
const connection = await connect(${JSON.stringify(url)});
for (const total of [-1, 5]) await connection.send("orders.new", { json: { total } });
const running = (async () => {
${code}
})();
const paid = await connection.consumer("orders.paid").receive({ timeout: 30_000 });
const dead = await connection.consumer("DLQ").receive({ timeout: 30_000 });
console.log(paid.json(), dead.json(), dead.properties.dlqDeliveryFailureCause);
await connection.close();
await running;
`;
}
