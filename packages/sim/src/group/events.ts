import { acceptsWrites, includesReplica } from "@everhold/group";
import type { Mistake } from "./mistakes.ts";
import { Turns } from "./turns.ts";
import { type Budget, type Host, type World } from "./world.ts";

/** Something that can happen now, in words, and what the world is then. */
export interface Event {
  readonly what: string;
  /** Whether it is a fault or a wish from outside, of which there is a budget. */
  readonly costs: keyof Budget | null;
  readonly next: () => World;
}

type Change = (turns: Turns) => void;

/** Everything that can happen next. */
export function eventsOf(world: World, mistake?: Mistake): readonly Event[] {
  const events: Event[] = [];
  const add = (what: string, costs: keyof Budget | null, change: Change): void => {
    if (costs !== null && world.budget[costs] === 0) return;
    events.push({ what, costs, next: () => after(world, costs, change, mistake) });
  };
  for (const [index, host] of world.hosts.entries()) addHostEvents(add, world, host, index);
  for (const [one, host] of world.hosts.entries()) {
    for (const [other, peer] of world.hosts.entries()) {
      if (one !== other) addLinkEvents(add, world, [one, host], [other, peer]);
    }
  }
  addRequestEvents(add, world);
  return events;
}

type Add = (what: string, costs: keyof Budget | null, change: Change) => void;

function addHostEvents(add: Add, { node, budget }: World, host: Host, index: number): void {
  const { id, member, log, durable, fencing, truncating } = host;
  if (member === null) {
    add(`${id} starts`, null, (turns) => turns.start(index));
    return add(`${id} gets an empty disk`, "wipe", (turns) => turns.wipe(index));
  }
  add(
    `${id} dies${durable < log.length ? ` and loses ${log.slice(durable)}` : ""}`,
    "crash",
    (turns) => turns.crash(index),
  );
  if (durable < log.length) {
    add(`${id} has synced ${log.slice(durable)}`, null, (turns) => {
      turns.change(index, { durable: log.length });
      turns.feed(index, { kind: "durable" });
    });
  }
  if (fencing !== null) {
    add(`${id} is fenced at epoch ${fencing}`, null, (turns) => {
      turns.change(index, { fencedEpoch: fencing, promised: fencing, fencing: null });
      turns.feed(index, { kind: "fenced", epoch: fencing });
    });
  }
  if (truncating !== null) {
    add(`${id} has cut ${log.slice(truncating)}`, null, (turns) => {
      const kept = { log: log.slice(0, truncating), durable: Math.min(durable, truncating) };
      turns.change(index, { ...kept, truncating: null });
      turns.feed(index, { kind: "truncated" });
    });
  }
  const { role, known, self } = member;
  if (member.reading || known === null || known.version < node.version) {
    add(`${id} reads the node`, null, (turns) => turns.feed(index, { kind: "state", known: node }));
  }
  if (known === null) return;
  if (role.kind === "backup" && includesReplica(known.state.inSync, self)) {
    const live = known.state.live;
    const without = live === null || live.id === id ? [] : [live.id];
    add(`${id} stands for promotion`, "promote", (turns) =>
      turns.feed(index, { kind: "promote", without, unclean: false }),
    );
  }
  if (role.kind !== "live") return;
  if (acceptsWrites(member)) {
    const letter = String.fromCharCode("z".charCodeAt(0) + 1 - budget.write);
    add(`${id} takes the write ${letter}`, "write", (turns) => turns.write(index, letter));
  }
  for (const { id: other } of known.state.inSync) {
    if (other === id || role.dropping.includes(other)) continue;
    add(`${id} gives ${other} up`, "drop", (turns) =>
      turns.feed(index, { kind: "drop", id: other }),
    );
    if (role.handingOverTo !== null) continue;
    add(`${id} is to hand over to ${other}`, "handOver", (turns) =>
      turns.feed(index, { kind: "hand-over", to: other }),
    );
  }
}

function addLinkEvents(
  add: Add,
  { links, hosts }: World,
  [one, host]: readonly [number, Host],
  [other, peer]: readonly [number, Host],
): void {
  const queue = links[one * hosts.length + other] ?? null;
  if (queue === null) {
    if (one > other || host.member === null || peer.member === null) return;
    return add(`${host.id} and ${peer.id} connect`, null, (turns) => turns.connect(one, other));
  }
  if (one < other) {
    add(`${host.id} and ${peer.id} are cut off`, "break", (turns) => turns.disconnect(one, other));
  }
  const frame = queue[0];
  if (frame === undefined) return;
  const what = `${peer.id} gets ${frame.kind} of epoch ${frame.epoch} from ${host.id}`;
  add(what, null, (turns) => turns.deliver(one, other, false));
  add(`${what}, which will come again`, "duplicate", (turns) => turns.deliver(one, other, true));
}

function addRequestEvents(add: Add, world: World): void {
  const { requests, hosts, node } = world;
  for (const [place, request] of requests.entries()) {
    const { from, next, result, told } = request;
    const id = hosts[from]?.id;
    const { epoch, inSync } = next.state;
    const wish = `${id}'s request for epoch ${epoch} with ${inSync.map((one) => one.id).join("")}`;
    const others = requests.filter((_, index) => index !== place);
    const put = (change: Partial<typeof request>) =>
      requests.map((one, index) => (index === place ? { ...one, ...change } : one));
    if (result === null && next.version === node.version) {
      add(`ZooKeeper carries out ${wish}`, null, (turns) => {
        const written = { version: node.version + 1, state: next.state };
        turns.world = { ...turns.world, node: written };
        turns.setRequests(put({ result: "done" }));
      });
    }
    if (told) continue;
    if (result !== null) {
      add(`${id} hears that ${wish} is ${result}`, null, (turns) => {
        turns.setRequests(others);
        turns.feed(from, { kind: "outcome", result });
      });
    }
    add(`${id} will never hear of ${wish}`, "lose", (turns) => {
      turns.setRequests(put({ told: true }));
      turns.feed(from, { kind: "outcome", result: "unknown" });
    });
  }
}

function after(
  world: World,
  costs: keyof Budget | null,
  change: Change,
  mistake: Mistake | undefined,
): World {
  const turns = new Turns(world, mistake);
  change(turns);
  if (costs !== null) {
    const left = { ...turns.world.budget, [costs]: world.budget[costs] - 1 };
    turns.world = { ...turns.world, budget: left };
  }
  return turns.done();
}
