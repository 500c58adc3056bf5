import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { LocalCoordinator } from "@everhold/coordinator";
import { type KnownState, newGroupState } from "@everhold/group";
import { NodeClaims, NodeDisk, nodePorts } from "@everhold/node";

const program = fileURLToPath(new URL("contender.js", import.meta.url));
const killCount = 8;
/** Lines that a process has said when it is killed: some are of a request that is being written. */
const linesPerLife = [3, 11, 4, 20, 7, 5, 13, 8];

/** What a process says: what it read of a version, what it asks for on one, and what it was told. */
interface Line {
  readonly kind: "read" | "ask" | "done" | "conflict" | "unknown";
  readonly version: number;
  readonly mark: number;
}

describe("members of a group on one machine that are killed", () => {
  it(`${killCount} kills in the middle of changes lose nothing that was done, and do nothing twice`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "everhold-local-"));
    const witness = new Witness(folder);
    const crowd = new Crowd(folder);
    try {
      await witness.coordinator.create(newGroupState("g", { id: "anna", incarnation: "1" }, 1));
      await Promise.all(["anna", "bert"].map((id) => crowd.keepKilling(id, killCount / 2)));
      await witness.hears(() => witness.memberCount === 0);
      const last = await witness.known();
      judge(crowd.lines, last);
      // What they left holds up nobody.
      await witness.hears(() => witness.goneCount > 0);
      const live = { id: "cora", incarnation: "1" };
      const state = { ...last.state, epoch: last.state.epoch + 1, live };
      assert.equal(await witness.coordinator.request("promote", { ...last, state }), "done");
      await witness.coordinator.close();
    } finally {
      await crowd.end();
      await witness.coordinator.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** Each version was made by one request on the one before it, and by one that was done if any was. */
function judge(lines: readonly Line[], last: KnownState): void {
  const of = (kind: Line["kind"], version: number): readonly number[] =>
    lines.filter((line) => line.kind === kind && line.version === version).map(({ mark }) => mark);
  assert.ok(last.version > killCount, `there were ${last.version} changes`);
  for (let version = 0; version <= last.version; version += 1) {
    const done = of("done", version);
    const asked = of("ask", version);
    const what = `the change of version ${version}`;
    if (version === last.version) {
      assert.deepEqual(done, [], `${what} was done, and is lost`);
      break;
    }
    assert.ok(done.length <= 1, `${what} was done twice: ${done.join()}`);
    const marks = new Set(of("read", version + 1));
    if (version + 1 === last.version) marks.add(last.state.epochStart);
    for (const mark of marks) {
      assert.ok(asked.includes(mark), `${what}: nobody asked for ${mark}`);
      assert.ok(!of("conflict", version).includes(mark), `${what}: ${mark} was a conflict`);
      assert.deepEqual(done.length === 0 ? [mark] : done, [mark], what);
    }
    assert.ok(marks.size <= 1, `${what} was seen twice: ${[...marks].join()}`);
    assert.ok(asked.length > of("conflict", version).length, `${what} was made by nobody`);
  }
}

/** A process that only looks. */
class Witness {
  readonly coordinator: LocalCoordinator;
  memberCount = 0;
  goneCount = 0;
  #onTold = (): void => undefined;

  constructor(folder: string) {
    this.coordinator = new LocalCoordinator({
      ports: nodePorts({ log: { level: "error" } }),
      disk: new NodeDisk({ folder }),
      claims: new NodeClaims({ folder }),
      groupId: "g",
      listener: {
        onStateMayHaveChanged: () => this.#onTold(),
        onLiveGone: () => {
          this.goneCount += 1;
          this.#onTold();
        },
        onMembers: ({ length }) => {
          this.memberCount = length;
          this.#onTold();
        },
      },
    });
  }

  /** When something is so, looked at whenever anything is told. */
  async hears(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (this.#onTold = resolve));
  }

  async known(): Promise<KnownState> {
    const read = await this.coordinator.read();
    assert.ok(read.kind === "state", read.kind);
    return read.known;
  }
}

/** Processes that are started, and killed. */
class Crowd {
  readonly lines: Line[] = [];
  readonly #folder: string;
  readonly #children = new Set<ChildProcess>();
  #lifeCount = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** One process of an id after the other, each killed when it has said a number of lines. */
  async keepKilling(id: string, count: number): Promise<void> {
    for (let left = count; left > 0; left -= 1) await this.#live(id);
  }

  async end(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
  }

  async #live(id: string): Promise<void> {
    const life = this.#lifeCount;
    this.#lifeCount += 1;
    const child = spawn(process.execPath, [program, this.#folder, id, String(life)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#children.add(child);
    const exit = once(child, "exit");
    let left = linesPerLife[life] ?? 5;
    for await (const text of createInterface({ input: child.stdout })) {
      this.lines.push(parseLine(text));
      left -= 1;
      if (left === 0) child.kill("SIGKILL");
    }
    const [code, signal] = await exit;
    this.#children.delete(child);
    assert.equal(signal, "SIGKILL", `it ended by itself: ${String(code)}`);
  }
}

function parseLine(text: string): Line {
  const line: Line = JSON.parse(text);
  return line;
}
