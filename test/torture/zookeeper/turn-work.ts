import { setTimeout as pause } from "node:timers/promises";

import type { Prng } from "@everhold/base";
import type { ZooKeeper } from "@everhold/zookeeper";

import type { Turn } from "./turn.ts";
import { nowMicroseconds } from "./history.ts";
import type { Pass, Registers } from "./registers.ts";
import type { Stalls } from "./stalls.ts";
import type { Teller } from "./teller.ts";
import { ZooKeeperRegister } from "./zookeeper-register.ts";

/** What it takes to work in a turn. */
export interface WorkParts {
  readonly client: ZooKeeper;
  readonly registers: Registers;
  readonly stalls: Stalls;
  readonly teller: Teller;
  readonly random: Prng;
  /** What the store is shown in the place of the turn's token. */
  readonly shownToken: number | undefined;
}

/**
 * What somebody does who has a turn: adds to four counters, one after the other, as four kinds of users would. Each
 * stops when it notices that the turn is over, which one of them never does.
 */
export async function workInTurn(
  parts: WorkParts,
  turn: Pick<Turn, "token" | "isHeld">,
): Promise<void> {
  const token = Number(turn.token);
  const { random, teller } = parts;
  const register = new ZooKeeperRegister(parts.client, parts.stalls, teller, token);
  const users = [
    () => addFenced(parts, token),
    () => addAsked(parts, turn, token),
    () => addUnasked(parts, token),
    () => register.add(),
  ];
  const isWorking = users.map(() => true);
  const stepCount = random.integer(1, 6);
  for (let step = 0; step < stepCount; step += 1) {
    for (const [index, add] of users.entries()) {
      if (isWorking[index] === true) isWorking[index] = await add();
    }
    await pause(random.integer(0, 30));
  }
  const wasHeld = isHeld(parts, turn, token);
  teller.tell({ kind: "over", process: teller.process, token, wasHeld, at: nowMicroseconds() });
}

/** Shows its token; returns whether to go on. */
async function addFenced(parts: WorkParts, grant: number): Promise<boolean> {
  const pass: Pass = { token: parts.shownToken ?? grant, grant };
  const count = await parts.registers.read("fenced", pass);
  if (count === undefined) return false;
  await pause(parts.random.integer(0, 5));
  parts.stalls.beforeWrite();
  return parts.registers.write("fenced", pass, count + 1);
}

/** Has no token, and asks whether the turn goes on, right before it writes. */
async function addAsked(
  parts: WorkParts,
  turn: Pick<Turn, "isHeld">,
  grant: number,
): Promise<boolean> {
  const pass: Pass = { token: grant, grant };
  if (!isHeld(parts, turn, grant)) return false;
  const count = (await parts.registers.read("asked", pass)) ?? 0;
  await pause(parts.random.integer(0, 5));
  if (!isHeld(parts, turn, grant)) return false;
  parts.stalls.beforeWrite();
  return parts.registers.write("asked", pass, count + 1);
}

/** Has no token, and believes that a turn lasts until it is given back. */
async function addUnasked(parts: WorkParts, grant: number): Promise<boolean> {
  const pass: Pass = { token: grant, grant };
  const count = (await parts.registers.read("unasked", pass)) ?? 0;
  await pause(parts.random.integer(0, 5));
  parts.stalls.beforeWrite();
  return parts.registers.write("unasked", pass, count + 1);
}

function isHeld({ teller }: WorkParts, turn: Pick<Turn, "isHeld">, token: number): boolean {
  const at = nowMicroseconds();
  const held = turn.isHeld();
  if (held) teller.tell({ kind: "held", process: teller.process, token, at });
  return held;
}
