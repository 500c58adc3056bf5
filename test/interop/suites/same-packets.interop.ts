import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import { EverholdBroker } from "../support/everhold-broker.ts";
import { rootFolder } from "../support/folders.ts";
import {
  differencesDocument,
  isCoveredBy,
  knownDifferences,
} from "../support/known-differences.ts";
import {
  compare,
  describeDifferences,
  listing,
  shrink,
  type PacketProgram,
  type StepDifference,
} from "../support/packet-comparison.ts";
import {
  restrictedArtemis,
  restrictedEverhold,
  restrictedPrograms,
  writtenPrograms,
} from "../support/packet-programs/index.ts";
import { randomProgram } from "../support/random-programs.ts";

/** `EVERHOLD_INTEROP_PROGRAMS=N` runs more random programs, `EVERHOLD_INTEROP_SEED=N` begins with another. */
const randomCount = Number(process.env["EVERHOLD_INTEROP_PROGRAMS"] ?? 40);
const firstSeed = Number(process.env["EVERHOLD_INTEROP_SEED"] ?? 1);

/** Programs that run at one time: they mostly wait, and share nothing but the brokers. */
const concurrency = 6;

const shown = new Set<string>();

function isKnown(difference: StepDifference): boolean {
  const known = knownDifferences.find((one) => isCoveredBy(one, difference));
  if (known !== undefined) shown.add(known.what);
  return known !== undefined;
}

/** Both brokers of a kind, while the programs of one `describe` run. */
class Pair {
  #ours: EverholdBroker | undefined;
  #theirs: ArtemisBroker | undefined;

  async start(config: object, settings: string, isRestricted: boolean): Promise<void> {
    this.#ours = await EverholdBroker.start({ config });
    this.#theirs = await ArtemisBroker.start({
      security: isRestricted,
      addressSettings: settings,
      // Both write to the disk; neither is asked here how fast.
      brokerXml: (xml) => xml.replace("<journal-datasync>true<", "<journal-datasync>false<"),
    });
  }

  async compare(program: PacketProgram): Promise<StepDifference[]> {
    return compare(this.brokers, program, isKnown);
  }

  get brokers() {
    assert.ok(this.#ours !== undefined && this.#theirs !== undefined, "the brokers run");
    return { ours: this.#ours, theirs: this.#theirs };
  }

  async stop(): Promise<void> {
    await this.#ours?.[Symbol.asyncDispose]();
    await this.#theirs?.[Symbol.asyncDispose]();
  }
}

describe("the same packets to Everhold and to Artemis 2.44", () => {
  describe("with usual settings", () => {
    const pair = new Pair();
    before(() => pair.start({}, usualSettings, false), { timeout: 400_000 });
    after(() => pair.stop());
    for (const [subject, programs] of Object.entries(writtenPrograms)) {
      describe(subject, { concurrency }, () => {
        for (const program of programs) {
          it(program.name, { timeout: 400_000 }, async () => {
            const found = await pair.compare(program);
            assert.equal(found.length, 0, `\n${describeDifferences(found)}\n`);
          });
        }
      });
    }
    describe("random programs", { concurrency }, () => {
      for (let index = 0; index < randomCount; index += 1) {
        const program = randomProgram(firstSeed + index);
        it(program.name, { timeout: 600_000 }, async () => {
          const found = await pair.compare(program);
          if (found.length > 0) assert.fail(await shortened(pair, program, found));
        });
      }
    });
  });

  describe("with little room, nothing made by itself, and logins", () => {
    const pair = new Pair();
    before(() => pair.start(restrictedEverhold, restrictedArtemis, true), { timeout: 400_000 });
    after(() => pair.stop());
    describe("restricted", { concurrency }, () => {
      for (const program of restrictedPrograms) {
        it(program.name, { timeout: 400_000 }, async () => {
          const found = await pair.compare(program);
          assert.equal(found.length, 0, `\n${describeDifferences(found)}\n`);
        });
      }
    });
  });

  it("the differences that are known are documented", () => {
    const file = join(rootFolder, "docs", "ARTEMIS-BROKER.md");
    if (process.env["UPDATE"] === "1") writeFileSync(file, differencesDocument());
    assert.equal(readFileSync(file, "utf8"), differencesDocument());
  });

  it("every difference that is called known still shows", () => {
    const stale = knownDifferences.filter(({ what }) => !shown.has(what));
    assert.deepEqual(stale, []);
  });
});

/** Automatic deletion is on in Everhold, and not in the file that `artemis create` writes. */
const usualSettings =
  "<auto-delete-queues>true</auto-delete-queues><auto-delete-addresses>true</auto-delete-addresses>";

/** The shortest program found that still differs, and in what. */
async function shortened(
  pair: Pair,
  program: PacketProgram,
  found: readonly StepDifference[],
): Promise<string> {
  const kept = await shrink(pair.brokers, program, isKnown, found);
  const left = await compare(pair.brokers, program, isKnown, kept);
  const shownDifferences = describeDifferences(left.length > 0 ? left : found);
  return `\n${listing(program, kept)}\n\n${shownDifferences}\n`;
}
