import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { GroupWorld, type Machine } from "../testing/group-world.test-support.ts";

/** Members that follow and lead, all in sync; the first leads. */
async function runningGroup(minInSync: number, ids = ["a", "b", "c"]): Promise<GroupWorld> {
  const world = new GroupWorld(ids, minInSync);
  for (const machine of world.machines) machine.start();
  await world.pass(5000);
  assert.equal(world.inSync, ids.join(" "));
  assert.equal(serving(world), "a");
  return world;
}

function serving(world: GroupWorld): string {
  return world.serving.map(({ id }) => id).join(" ");
}

function processOf(machine: Machine): NonNullable<Machine["process"]> {
  assert.ok(machine.process !== undefined);
  return machine.process;
}

/** Lets time pass in small steps: what lasts only a moment is seen. */
async function watch(world: GroupWorld, durationMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < durationMs; passedMs += 10) await world.pass(10);
}

function countOf(world: GroupWorld, text: string): number {
  return world.story.filter((line) => line.includes(text)).length;
}

describe("a process that was stopped for a while", () => {
  it("holds nobody else's silence against them when it leads", async () => {
    const world = await runningGroup(1);
    const { version } = world.node.known ?? {};
    world.machine("a").pause();
    await world.pass(1200);
    world.machine("a").resume();
    await world.pass(3000);
    assert.equal(world.inSync, "a b c");
    assert.equal(world.node.known?.version, version);
    assert.equal(processOf(world.machine("a")).driver.mayDispatch, true);
  });

  it("does not think its live gone because it heard nothing meanwhile", async () => {
    const world = await runningGroup(2, ["a", "b"]);
    const { state } = world.node.known ?? {};
    world.machine("b").pause();
    await world.pass(10_000);
    world.machine("b").resume();
    await world.pass(3000);
    assert.equal(serving(world), "a");
    assert.equal(world.node.known?.state.epoch, state?.epoch);
    assert.equal(world.inSync, "a b");
  });

  it("hands out nothing any more when another one leads", async () => {
    const world = await runningGroup(1);
    world.machine("a").pause();
    await world.pass(3000);
    const { driver } = processOf(world.machine("a"));
    assert.equal(driver.mayDispatch, false);
    world.machine("a").resume();
    await watch(world, 3000);
    assert.equal(serving(world), "b");
    assert.equal(world.inSync, "a b c");
  });
});

describe("a member that took its live for gone", () => {
  /** The backup b is cut off from everything for a while; it stays in sync, as the two are the least there must be. */
  async function cutOff(durationMs: number): Promise<GroupWorld> {
    const world = await runningGroup(2, ["a", "b"]);
    processOf(world.machine("b")).coordinator.isAway = true;
    world.wires.cut("a", "b");
    world.wires.cut("b", "a");
    await world.pass(durationMs);
    assert.notEqual(processOf(world.machine("b")).driver.member.wish, null);
    return world;
  }

  it("lets it lead on when it hears it again before it could read the node", async () => {
    const world = await cutOff(1700);
    world.wires.heal();
    await world.pass(300);
    processOf(world.machine("b")).coordinator.comeBack();
    await world.pass(3000);
    assert.equal(serving(world), "a");
    assert.equal(world.node.known?.state.epoch, 1);
    assert.equal(world.inSync, "a b");
  });

  it("hears for a while whether it is when it can read the node at last, for it was perhaps cut off itself", async () => {
    const world = await cutOff(5000);
    processOf(world.machine("b")).coordinator.comeBack();
    await world.pass(1000);
    world.wires.heal();
    await world.pass(3000);
    assert.equal(serving(world), "a");
    assert.equal(world.node.known?.state.epoch, 1);
    assert.equal(world.inSync, "a b");
  });

  it("takes over in the end when it is gone indeed", async () => {
    const world = await runningGroup(1, ["a", "b"]);
    processOf(world.machine("b")).coordinator.isAway = true;
    world.machine("a").pause();
    await world.pass(5000);
    processOf(world.machine("b")).coordinator.comeBack();
    await world.pass(3000);
    assert.ok(world.machine("b").isServing);
  });
});

describe("who may hand out messages", () => {
  it("is not a member that was started anew and promoted while its last answer still counts", async () => {
    const world = await runningGroup(1, ["a", "b"]);
    world.wires.cut("a", "b");
    world.wires.cut("b", "a");
    processOf(world.machine("a")).coordinator.isAway = true;
    world.machine("b").kill();
    world.machine("b").start();
    await world.pass(110);
    // It is told that its live is gone, and that is wrong.
    processOf(world.machine("b")).driver.onUnreachable("a", "refused");
    await watch(world, 250);
    assert.equal(serving(world), "a b");
    assert.equal(processOf(world.machine("b")).driver.mayDispatch, false);
    await watch(world, 1000);
    assert.equal(processOf(world.machine("b")).driver.mayDispatch, true);
  });

  it("is not one that takes over from another that has only just taken over", async () => {
    const world = await runningGroup(1);
    processOf(world.machine("a")).driver.handOver("c");
    await world.pass(2000);
    // Its last answer to c is old; a takes over from c, and b from a.
    world.wires.cut("b", "c");
    world.wires.cut("c", "b");
    await world.pass(300);
    world.wires.cut("a", "b");
    world.wires.cut("b", "a");
    processOf(world.machine("c")).driver.handOver("a");
    await world.pass(110);
    assert.equal(world.node.known?.state.live?.id, "a");
    // It is the first in line.
    processOf(world.machine("b")).driver.onUnreachable("a", "refused");
    await watch(world, 100);
    world.wires.heal();
    await watch(world, 50);
    assert.ok(world.machine("b").isServing);
    assert.equal(processOf(world.machine("b")).driver.mayDispatch, false);
    await watch(world, 300);
    assert.equal(processOf(world.machine("b")).driver.mayDispatch, true);
  });

  it("is nobody else while a live does not know whether one that joins is in sync", async () => {
    const world = await runningGroup(1);
    const a = processOf(world.machine("a"));
    world.machine("b").kill();
    await world.pass(1000);
    assert.equal(world.inSync, "a c");
    // b joins, and a does not hear of it, nor from b any more.
    const request = a.coordinator.request.bind(a.coordinator);
    a.coordinator.request = async (kind, next) => {
      await request(kind, next);
      a.coordinator.isAway = true;
      return "unknown";
    };
    world.machine("b").start();
    await world.pass(300);
    assert.equal(world.node.known?.state.inSync.length, 3);
    processOf(world.machine("c")).coordinator.isAway = true;
    world.wires.cut("a", "b");
    world.wires.cut("b", "a");
    world.wires.cut("c", "b");
    world.wires.cut("b", "c");
    await watch(world, 6000);
    assert.equal(serving(world), "a b");
    assert.equal(processOf(world.machine("b")).driver.mayDispatch, true);
    assert.equal(a.driver.member.known?.state.inSync.length, 2);
  });
});

describe("a node that is older than members have seen it", () => {
  it("is believed by none of those who have, in the same epoch and after a restart, too", async () => {
    const world = await runningGroup(2);
    const before = world.node.known;
    world.machine("b").kill();
    await world.pass(3000);
    assert.equal(world.inSync, "a c");
    for (const id of ["a", "c"]) world.machine(id).kill();
    world.node.known = before;
    for (const id of ["a", "c"]) world.machine(id).start();
    await world.pass(15_000);
    assert.equal(world.stopped.length, 0, "a server may be behind for a moment");
    await world.pass(15_000);
    const stopped = world.stopped.map(({ id, reason }) => `${id} ${reason}`).toSorted();
    assert.deepEqual(stopped, ["a older-state", "c older-state"]);
    assert.equal(serving(world), "");
    assert.equal(countOf(world, "is not what this member has seen it to be"), 2);
  });

  it("may be told by a server for a moment, and nobody minds", async () => {
    const world = await runningGroup(2);
    const before = world.node.known;
    world.machine("b").kill();
    await world.pass(3000);
    const now = world.node.known;
    world.node.known = before;
    world.node.changed();
    await world.pass(5000);
    world.node.known = now;
    await world.pass(1000);
    assert.deepEqual(world.stopped, []);
    assert.equal(serving(world), "a");
    world.machine("b").start();
    await world.pass(3000);
    assert.equal(world.inSync, "a b c");
  });
});

describe("a driver that ends", () => {
  it("tells its host why it stops, also when it led", async () => {
    const world = await runningGroup(1);
    world.node.known = undefined;
    world.node.changed();
    await world.pass(1000);
    const stopped = world.stopped.map(({ id, reason }) => `${id} ${reason}`).toSorted();
    assert.deepEqual(stopped, ["a state-gone", "b state-gone", "c state-gone"]);
    assert.equal(serving(world), "");
  });

  it("leaves no link behind, and takes none", async () => {
    const world = await runningGroup(1);
    const { driver, links } = processOf(world.machine("a"));
    assert.equal(links.openCount, 2);
    driver.close();
    await world.pass(0);
    assert.equal(links.openCount, 0);
    await world.pass(5000);
    assert.equal(links.openCount, 0);
    assert.equal(world.inSync, "b c");
  });

  it("leaves no timer behind, though it was waiting for an answer", async () => {
    const world = new GroupWorld(["a"], 1);
    world.node.known = undefined;
    world.machine("a").start();
    world.machine("a").kill();
    await world.pass(0);
    assert.deepEqual([...world.time.timers], []);
  });

  it("calls nobody any more", async () => {
    const world = await runningGroup(1);
    const { driver, links } = processOf(world.machine("b"));
    driver.onFailed(new EverholdError("EVH_IO", "the disk is gone"));
    await world.pass(0);
    assert.equal(links.openCount, 0);
    const count = world.wires.nextNumber();
    await world.pass(5000);
    assert.equal(world.wires.nextNumber(), count + 1);
  });

  it("ends a link that is made after it ended, or was made before it began", async () => {
    const world = await runningGroup(1);
    const { driver, links } = processOf(world.machine("b"));
    const ended: number[] = [];
    links.disconnect = (link) => void ended.push(link);
    driver.onFrame(9998, { kind: "answer", epoch: 1, sentAtMs: 0 });
    assert.deepEqual(ended, [9998]);
    driver.close();
    driver.onConnected(9999, "c", false);
    assert.equal(ended.at(-1), 9999);
  });
});

describe("what cannot be done", () => {
  it("a piece that the journal refuses ends the link, and is asked for again", async () => {
    const world = await runningGroup(1);
    const { journal } = processOf(world.machine("b"));
    const append = journal.append.bind(journal);
    journal.append = () => {
      journal.append = append;
      throw new EverholdError("EVH_DATA_CORRUPT", "the checksum differs");
    };
    processOf(world.machine("a")).journal.write("again");
    await world.pass(3000);
    assert.deepEqual(world.stopped, []);
    assert.equal(world.inSync, "a b c");
    assert.equal(processOf(world.machine("b")).journal.committed.at(-1)?.text, "again");
    assert.equal(countOf(world, "b: The journal refuses what the live sent"), 1);
  });

  it("a piece that cannot be loaded ends the link of who needs it, and the live goes on", async () => {
    for (const code of ["EVH_CLOSED", "EVH_DATA_CORRUPT"] as const) {
      const world = await runningGroup(1);
      const a = processOf(world.machine("a"));
      world.machine("b").wipe();
      for (const text of ["one", "two", "three", "four"]) {
        await world.pass(1000);
        a.journal.write(text);
      }
      await world.pass(1000);
      const load = a.journal.loadPiece.bind(a.journal);
      let loads = 0;
      a.journal.loadPiece = async (position) => {
        loads += 1;
        if (loads === 1) throw new EverholdError(code, "the segment is no more");
        return load(position);
      };
      world.machine("b").start();
      await world.pass(3000);
      assert.ok(loads > 1);
      assert.equal(serving(world), "a");
      assert.equal(world.inSync, "a b c");
    }
  });

  it("a backup that lacks what is not kept any more stops, and the others go on", async () => {
    const world = await runningGroup(1);
    const a = processOf(world.machine("a"));
    for (const text of ["one", "two", "three"]) a.journal.write(text);
    world.machine("b").wipe();
    await world.pass(1000);
    a.journal.oldestPosition = 16;
    world.machine("b").start();
    await world.pass(1000);
    assert.deepEqual(world.stopped, [{ id: "b", reason: "too-far-behind" }]);
    assert.equal(serving(world), "a");
    assert.equal(world.inSync, "a c");
    assert.equal(countOf(world, "b: This member has stopped"), 1);
  });

  it("a backup hears from where on its live keeps the journal", async () => {
    const world = await runningGroup(1);
    const { driver } = processOf(world.machine("b"));
    assert.equal(driver.liveOldestPosition, 0);
    processOf(world.machine("a")).journal.oldestPosition = 8;
    await world.pass(1000);
    assert.equal(driver.liveOldestPosition, 8);
  });

  it("a node that cannot be read is told once, not at each attempt", async () => {
    const world = await runningGroup(1);
    const b = processOf(world.machine("b"));
    const error = new EverholdError("EVH_NODE_FORMAT", "no mark");
    b.coordinator.read = async () => ({ kind: "unreadable", error });
    b.coordinator.tell();
    await world.pass(3000);
    assert.equal(countOf(world, "b: The group's state cannot be read"), 1);
  });

  it("a live that was silent for long is waited for again on a new link, though its answer takes a while", async () => {
    const world = await runningGroup(1);
    world.wires.cut("a", "c");
    world.wires.cut("c", "a");
    await world.pass(5000);
    assert.equal(world.inSync, "a b");
    world.wires.delayMs = 150;
    world.wires.heal();
    await world.pass(10_000);
    assert.equal(world.inSync, "a b c");
  });

  it("requests are not taken while fewer are in sync than there must be", async () => {
    const world = await runningGroup(2, ["a", "b"]);
    const { driver, coordinator } = processOf(world.machine("a"));
    const request = coordinator.request.bind(coordinator);
    coordinator.request = async (kind, next) => {
      const result = await request(kind, next);
      coordinator.isAway = true;
      return result;
    };
    // A new disk is another member: the old one goes first, and the set is too small for a while.
    world.machine("b").wipe();
    world.machine("b").start();
    assert.equal(driver.mayTake, true);
    await world.pass(1000);
    assert.equal(world.inSync, "a");
    assert.equal(driver.mayTake, false);
    coordinator.comeBack();
    await world.pass(1000);
    assert.equal(world.inSync, "a b");
    assert.equal(driver.mayTake, true);
  });
});
