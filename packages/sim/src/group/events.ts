import { acceptsWrites, includesReplica } from "@everhold/group";
import type { Mistake } from "./mistakes.ts";
import { Turns } from "./turns.ts";
import type { Budget, Host, World } from "./world.ts";

/** Something that can happen now, in words, and what the world is then. */
export interface Event {
  readonly what: string;
  /** Whether it is a fault or a wish from outside, of which there is a budget. */
  readonly costs: keyof Budget | null;
  /** Whether it follows at once in the coarse model: what disks confirm, and what greets or acknowledges. */
  readonly isPrompt: boolean;
  readonly next: () => World;
}

type Change = (turns: Turns) => void;

type Add = (
  what: string,
  costs: keyof Budget | null,
  change: Change,
  speed?: "prompt" | "slow",
) => void;

const promptFrames: ReadonlySet<string> = new Set(["hello", "align", "acknowledge"]);

/** Everything that can happen next. */
export function eventsOf(world: World, mistake?: Mistake): readonly Event[] {
  const events: Event[] = [];
  const add: Add = (what, costs, change, speed = "slow") => {
    if (costs !== null && world.budget[costs] === 0) return;
    const next = () => after(world, costs, change, mistake);
    events.push({ what, costs, isPrompt: speed === "prompt", next });
  };
  for (const [index, host] of world.hosts.entries()) {
    addHostEvents(add, world, host, index);
    addTrueHint(add, world, host, index);
    addWishes(add, world, host, index, mistake === "serve-early");
  }
  for (const [caller, host] of world.hosts.entries()) {
    for (const [called, peer] of world.hosts.entries()) {
      if (caller !== called) addLinkEvents(add, world, [caller, host], [called, peer]);
    }
  }
  addRequestEvents(add, world);
  return events;
}

function addHostEvents(add: Add, world: World, host: Host, index: number): void {
  const { node } = world;
  const { id, member, log, durable, fencing, truncating, answer } = host;
  if (member === null) {
    add(`${id} starts`, null, (turns) => turns.start(index));
    return add(`${id} gets an empty disk`, "wipe", (turns) => turns.wipe(index));
  }
  const loses = durable < log.length ? ` and loses ${log.slice(durable)}` : "";
  add(`${id} dies${loses}`, "crash", (turns) => turns.crash(index));
  if (durable < log.length) {
    const sync: Change = (turns) => {
      turns.change(index, { durable: log.length });
      turns.feed(index, { kind: "durable" });
    };
    add(`${id} has synced ${log.slice(durable)}`, null, sync, "prompt");
  }
  if (fencing !== null) {
    const fence: Change = (turns) => {
      const promised = Math.max(host.promised, fencing);
      turns.change(index, { fencedEpoch: fencing, promised, fencing: null });
      turns.feed(index, { kind: "fenced", epoch: fencing });
    };
    add(`${id} is fenced at epoch ${fencing}`, null, fence, "prompt");
  }
  if (truncating !== null) {
    const cut: Change = (turns) => {
      const kept = { log: log.slice(0, truncating), durable: Math.min(durable, truncating) };
      turns.change(index, { ...kept, truncating: null });
      turns.feed(index, { kind: "truncated" });
    };
    add(`${id} has cut ${log.slice(truncating)}`, null, cut, "prompt");
  }
  const { known, reading, failedVersion } = member;
  if (answer !== null) {
    add(`${id} hears what the node was`, null, (turns) => turns.read(index, answer));
  } else if (reading !== "no") {
    add(`${id} reads the node`, null, (turns) => turns.read(index, node));
  } else if (known !== null && known.version < node.version) {
    add(`${id} hears of a change and reads the node`, null, (turns) => {
      turns.feed(index, { kind: "changed" });
      turns.read(index, node);
    });
  }
  if (answer === null) {
    add(`${id}'s read of the node is answered, and not heard yet`, "stale", (turns) => {
      if (reading === "no") turns.feed(index, { kind: "changed" });
      turns.change(index, { answer: node });
    });
  }
  if (failedVersion !== null && failedVersion === known?.version && reading === "no") {
    add(`${id} tries again`, null, (turns) => turns.feed(index, { kind: "retry" }));
  }
}

/** Who is in sync and hears of no live stands: its own, right hint. Where the live's disk is there, it will lead again. */
function addTrueHint(add: Add, { node, hosts }: World, host: Host, index: number): void {
  const { member, id } = host;
  const { live, inSync } = node.state;
  if (live === null || hosts.some((one) => includesReplica([live], one))) return;
  if (member?.role.kind !== "backup" || member.wish !== null || member.reading !== "no") return;
  if (member.known?.version !== node.version || !includesReplica(inSync, host)) return;
  add(`${id} hears of no live and is to stand`, null, (turns) =>
    turns.feed(index, { kind: "promote", without: [], unclean: null }),
  );
}

/** What operators and failure detectors may want, rightly or wrongly. */
function addWishes(
  add: Add,
  { budget }: World,
  { id, member }: Host,
  index: number,
  servesEarly: boolean,
): void {
  if (member === null || member.known === null) return;
  const { role, wish, known } = member;
  const live = known.state.live?.id;
  if (role.kind === "backup") {
    const hint = (without: readonly string[]): Change => {
      return (turns) => turns.feed(index, { kind: "promote", without, unclean: null });
    };
    add(`${id} is to stand`, "promote", hint([]));
    if (live !== undefined && live !== id) {
      add(`${id} is to stand without ${live}`, "promote", hint([live]));
    }
  }
  if (wish !== null || role.kind === "candidate") {
    add(`${id} is to stand no more`, "withdraw", (turns) =>
      turns.feed(index, { kind: "withdraw" }),
    );
  }
  if (role.kind !== "live") return;
  if (servesEarly || acceptsWrites(member)) {
    const letter = String.fromCharCode("z".charCodeAt(0) + 1 - budget.write);
    add(`${id} takes the write ${letter}`, "write", (turns) => turns.write(index, letter));
  }
  for (const { id: other } of known.state.inSync) {
    if (other === id || role.dropping.includes(other)) continue;
    add(`${id} gives ${other} up`, "drop", (turns) =>
      turns.feed(index, { kind: "drop", id: other }),
    );
    if (role.handOver !== null) continue;
    add(`${id} is to hand over to ${other}`, "handOver", (turns) =>
      turns.feed(index, { kind: "hand-over", to: other }),
    );
  }
}

function addLinkEvents(
  add: Add,
  { wires, hosts }: World,
  [caller, host]: readonly [number, Host],
  [called, peer]: readonly [number, Host],
): void {
  const wire = wires[caller * hosts.length + called] ?? null;
  if (wire === null) {
    if (host.member?.calling !== peer.id || peer.member === null) return;
    return add(`${host.id} connects to ${peer.id}`, null, (turns) => turns.connect(caller, called));
  }
  add(`${host.id} and ${peer.id} are cut off`, "break", (turns) =>
    turns.disconnect(caller, called),
  );
  for (const way of ["out", "back"] as const) {
    const [frame] = wire[way];
    if (frame === undefined) continue;
    const [to, from] = way === "out" ? [peer.id, host.id] : [host.id, peer.id];
    const what = `${to} gets ${frame.kind} of epoch ${frame.epoch} from ${from}`;
    const deliver: Change = (turns) => turns.deliver(caller, called, way, false);
    add(what, null, deliver, promptFrames.has(frame.kind) ? "prompt" : "slow");
    add(`${what}, which will come again`, "duplicate", (turns) =>
      turns.deliver(caller, called, way, true),
    );
  }
  if (wire.back.length === 0) addInvitation(add, [called, peer], host);
}

/** An invitation that did nothing is sent again when the live tries again. */
function addInvitation(add: Add, [live, { id, member }]: readonly [number, Host], to: Host): void {
  const role = member?.role;
  if (role?.kind !== "live" || role.handOver?.to !== to.id || role.handOver.invited === null)
    return;
  const isIdle = to.member?.role.kind === "backup" && to.member.reading === "no";
  if (!isIdle || to.member?.role.following.kind !== "aligned") return;
  add(`${id} invites ${to.id} again`, null, (turns) => turns.feed(live, { kind: "retry" }));
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
        const written = { ...node, version: node.version + 1, state: next.state };
        turns.world = { ...turns.world, node: written };
        turns.setRequests(put({ result: "done" }));
      });
      add(`ZooKeeper refuses ${wish}`, "refuse", (turns) =>
        turns.setRequests(put({ result: "conflict" })),
      );
    }
    if (told) continue;
    if (result !== null) {
      add(`${id} hears that ${wish} is ${result}`, null, (turns) => {
        turns.setRequests(others);
        turns.feed(from, { kind: "outcome", request: request.request, result });
      });
    }
    add(`${id} will never hear of ${wish}`, "lose", (turns) => {
      turns.setRequests(put({ told: true }));
      turns.feed(from, { kind: "outcome", request: request.request, result: "unknown" });
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
