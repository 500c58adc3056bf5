import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { mutations, type Mutation } from "../mutations/mutations.ts";
import type { ReturnCounts } from "./returns.ts";
import { runScenario } from "./scenario.ts";

/** A mutation that hides for this many seeds would hide in practice too. */
const seedsPerMutation = 25;

/** A seed that shows it; from there on the search begins. */
const firstSeeds: Readonly<Record<Mutation, number>> = {
  "confirm-before-sync": 1,
  "confirm-on-arrival": 1,
  "skip-tail-check": 1,
  "blanket-success": 1,
  "deliver-early": 1,
  "forget-at-recovery": 1,
  "drop-replay": 11,
  "forget-fence": 29,
  "wrong-outcome": 6,
  "wrong-settlement": 16,
  "confuse-users": 19,
};

/** Seeds in which the broker asks who comes, and passwords change. */
const loginSeeds = [28, 35];

/** Seeds in which connections break while much is under way. */
const returningSeeds = [2, 12];

const waysToReturn = [
  "failovers",
  "reattachments",
  "reattachmentsRefused",
  "resumes",
  "commitsResumed",
  "commitsNumbered",
  "outcomesAsked",
  "doubtsResolved",
  "confirmations",
  "sendsReplayed",
  "sendsSuppressed",
  "sendsInDoubt",
] as const satisfies readonly (keyof ReturnCounts)[];

const troublesOfLogins = [
  "loginsRefused",
  "loginsPutOff",
  "credentialsMissing",
  "credentialsOld",
  "credentialsSlow",
  "password changed",
  "user struck off",
  "intrusionsRefused",
];

describe("a scenario", () => {
  it("keeps every promise, whatever dies meanwhile", async () => {
    for (const seed of [1, 2]) {
      const { problems, counts, faults } = await runScenario({ seed });
      assert.deepEqual(problems, [], `npm run sim -- --seed ${seed}`);
      assert.ok(counts.applied > 20 && counts.deliveries > counts.applied, "much was sent");
      assert.ok((faults["recovery compared"] ?? 0) > 0, "and recovered");
      assert.ok((counts["sendsConfirmed"] ?? 0) > 20, "and confirmed");
    }
  });

  it("brings clients back in every way there is", async () => {
    const sum: Record<string, number> = {};
    for (const seed of returningSeeds) {
      const { problems, counts } = await runScenario({ seed });
      assert.deepEqual(problems, [], `npm run sim -- --seed ${seed}`);
      for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count;
    }
    const missing = waysToReturn.filter((name) => (sum[name] ?? 0) === 0);
    assert.deepEqual(missing, []);
  });

  it("lets in again who had the wrong password for a while, and nobody to another's session", async () => {
    const sum: Record<string, number> = {};
    for (const seed of loginSeeds) {
      const { problems, counts, faults } = await runScenario({ seed });
      assert.deepEqual(problems, [], `npm run sim -- --seed ${seed}`);
      for (const [name, count] of Object.entries({ ...counts, ...faults })) {
        sum[name] = (sum[name] ?? 0) + count;
      }
    }
    const missing = troublesOfLogins.filter((name) => (sum[name] ?? 0) === 0);
    assert.deepEqual(missing, []);
  });

  it("goes the same way each time, in this process and in another", async () => {
    const lines: string[] = [];
    const first = await runScenario({ seed: 4, writeTrace: (line) => lines.push(line) });
    assert.ok(lines.length > first.eventCount, "watching it changes nothing");
    assert.equal((await runScenario({ seed: 4 })).fingerprint, first.fingerprint);
    const module = new URL("./scenario.js", import.meta.url).href;
    const program = `const { runScenario } = await import(${JSON.stringify(module)});
      process.stdout.write((await runScenario({ seed: 4 })).fingerprint);`;
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program]);
    assert.equal(stdout, first.fingerprint);
  });
});

describe("a mistake made on purpose", () => {
  for (const mutation of mutations) {
    it(`is found: ${mutation}`, async () => {
      const problems = await firstProblems(mutation);
      assert.ok(problems.length > 0, `nothing was noticed in ${seedsPerMutation} seeds`);
    });
  }
});

async function firstProblems(mutation: Mutation): Promise<readonly string[]> {
  const first = firstSeeds[mutation];
  for (let seed = first; seed < first + seedsPerMutation; seed += 1) {
    const { problems } = await runScenario({ seed, mutation });
    if (problems.length > 0) return problems;
  }
  return [];
}
