import {
  featureLevel,
  startMember,
  step,
  type Effect,
  type Frame,
  type Input,
  type KnownState,
} from "@everhold/group";
import { brokenRule } from "./invariants.ts";
import { rememberedWith, toldWith } from "./lies.ts";
import { epochBatch, logOf } from "./log-of.ts";
import type { Mistake } from "./mistakes.ts";
import { emptyHost, groupId, type Host, type Request, type Wire, type World } from "./world.ts";

/** A world that is being taken one event further. It carries out what members want, and lies where told to. */
export class Turns {
  world: World;
  readonly #mistake: Mistake | undefined;

  constructor(world: World, mistake: Mistake | undefined) {
    this.world = world;
    this.#mistake = mistake;
  }

  host(index: number): Host {
    const host = this.world.hosts[index];
    if (host === undefined) throw new RangeError(`found host ${index}, expected one that exists`);
    return host;
  }

  change(index: number, change: Partial<Host>): void {
    const { hosts } = this.world;
    const changed = hosts.map((one, place) => (place === index ? { ...one, ...change } : one));
    this.world = { ...this.world, hosts: changed };
  }

  /** Tells the process on a host what happened, and does what it wants done. */
  feed(index: number, input: Input): void {
    const { member } = this.host(index);
    if (member === null) return;
    const told = toldWith(this.#mistake, { member, input, log: logOf(this.host(index)) });
    const next = step(told.member, told.input, told.log);
    if (next.member.commitPosition < member.commitPosition) this.breaks("I7: a commit came undone");
    const kept = { ...told, member };
    this.change(index, { member: rememberedWith(this.#mistake, kept, next.member) });
    for (const effect of next.effects) this.#carryOut(index, effect, input);
    this.#ship(index);
  }

  /** A client's write on a live. */
  write(index: number, letter: string): void {
    const { member, log, id } = this.host(index);
    const { committed, node } = this.world;
    const role = member?.role;
    const isCurrent = role?.kind === "live" && role.epoch === node.state.epoch;
    const shown = log.slice(0, member?.commitPosition);
    if (isCurrent && !shown.startsWith(committed)) {
      this.breaks(`I7: ${id} serves with ${shown}, and ${committed} was committed`);
    }
    this.change(index, { log: this.host(index).log + letter });
    this.#ship(index);
  }

  start(index: number): void {
    const { id, incarnation, ...disk } = this.host(index);
    const self = { id, incarnation };
    const fencedEpoch = this.#mistake === "forget-promise" ? 0 : disk.fencedEpoch;
    const start = { self, groupId, features: featureLevel, fencedEpoch, commitPosition: 0 };
    this.change(index, { member: startMember(start) });
    this.feed(index, { kind: "changed" });
  }

  /** The process dies, and what was not synced with it. */
  crash(index: number): void {
    const { log, durable } = this.host(index);
    this.world.hosts.forEach((_, other) => {
      this.disconnect(index, other);
      this.disconnect(other, index);
    });
    const lost = { fencing: null, truncating: null, answer: null, member: null };
    this.change(index, { ...lost, log: log.slice(0, durable) });
    this.setRequests(
      this.world.requests.map((one) => (one.from === index ? { ...one, told: true } : one)),
    );
  }

  wipe(index: number): void {
    const { id, incarnation, log } = this.host(index);
    const isSame = this.#mistake === "stale-incarnation";
    const next = isSame ? incarnation : String(Number(incarnation) + 1);
    this.change(index, emptyHost(id, next, log));
  }

  /** The node is read: who asked hears of it. */
  read(index: number, known: KnownState): void {
    this.change(index, { answer: null });
    this.feed(index, { kind: "state", known });
  }

  connect(caller: number, called: number): void {
    const link = this.world.linkCount + 1;
    this.world = { ...this.world, linkCount: link };
    this.#setWire(caller, called, { link, out: [], back: [], shipped: null });
    const { id } = this.host(called);
    this.feed(called, { kind: "connected", link, id: this.host(caller).id, outgoing: false });
    this.feed(caller, { kind: "connected", link, id, outgoing: true });
  }

  disconnect(caller: number, called: number): void {
    const wire = this.#wire(caller, called);
    if (wire === null) return;
    this.#setWire(caller, called, null);
    this.feed(caller, { kind: "disconnected", link: wire.link });
    this.feed(called, { kind: "disconnected", link: wire.link });
  }

  /** Takes the first frame off a link, or leaves it there to come again, and hands it over. */
  deliver(caller: number, called: number, way: "out" | "back", again: boolean): void {
    const wire = this.#wire(caller, called);
    const [frame, ...rest] = wire?.[way] ?? [];
    if (wire === null || frame === undefined) return;
    if (!again) this.#setWire(caller, called, { ...wire, [way]: rest });
    const to = way === "out" ? called : caller;
    const from = way === "out" ? caller : called;
    const received = this.#falsified(from, to, frame);
    this.feed(to, { kind: "frame", link: wire.link, frame: received });
  }

  /** Requests that can do nothing any more and that nobody waits for are forgotten. */
  setRequests(requests: readonly Request[]): void {
    const { version } = this.world.node;
    const settled = requests.map((one) =>
      one.result === null && one.next.version !== version
        ? { ...one, result: "conflict" as const }
        : one,
    );
    this.world = {
      ...this.world,
      requests: settled.filter((one) => !one.told || one.result === null),
    };
  }

  breaks(broken: string): void {
    if (this.world.broken === null) this.world = { ...this.world, broken };
  }

  /** The world, and whether a rule is broken in it. */
  done(): World {
    const broken = this.world.broken ?? brokenRule(this.world);
    return broken === null ? this.world : { ...this.world, broken };
  }

  #carryOut(index: number, effect: Effect, input: Input): void {
    const host = this.host(index);
    switch (effect.kind) {
      case "fence":
        if (this.#mistake === "promote-without-fence" && host.member?.role.kind === "candidate") {
          this.change(index, { promised: Math.max(host.promised, effect.epoch) });
          return this.feed(index, { kind: "fenced", epoch: effect.epoch });
        }
        return this.change(index, { fencing: effect.epoch });
      case "request":
        return this.#request(index, effect);
      case "begin-epoch":
        return this.#beginEpoch(index, effect.epoch);
      case "append":
        return this.#append(index, effect.piece, input);
      case "truncate":
        return this.change(index, { truncating: effect.position });
      case "send": {
        const { frame } = effect;
        const epoch = host.member?.known?.state.epoch ?? 0;
        const isLow = frame.kind === "hello" && this.#mistake === "follow-lower";
        return this.#send(index, effect.link, isLow ? { ...frame, epoch } : frame);
      }
      case "ship": {
        const [caller, wire] = this.#wireOf(effect.link, index);
        if (wire !== null) this.#setWire(caller, index, { ...wire, shipped: effect.from });
        return undefined;
      }
      case "disconnect":
        return this.world.wires.forEach((wire, place) => {
          const { length } = this.world.hosts;
          if (wire?.link === effect.link)
            this.disconnect(Math.floor(place / length), place % length);
        });
      case "follow":
        return this.world.hosts.forEach(({ id }, called) => {
          if (id !== effect.id) this.disconnect(index, called);
        });
      case "commit":
        return this.#commit(index, effect.position);
      case "stop":
        return this.breaks(`${host.id} stopped itself: ${effect.reason}`);
      case "step-down":
      case "read":
        return undefined;
    }
  }

  #request(index: number, { request, next: asked }: Effect & { kind: "request" }): void {
    const { member } = this.host(index);
    const { minInSync } = this.world.node.state;
    const next = { ...asked, state: { ...asked.state, minInSync } };
    const before = member?.known?.state.inSync.length ?? 0;
    const isShrink = member?.role.kind === "live" && next.state.inSync.length < before;
    const told = isShrink && this.#mistake === "release-before-shrink";
    this.setRequests([...this.world.requests, { from: index, request, next, result: null, told }]);
    if (told) this.feed(index, { kind: "outcome", request, result: "done" });
  }

  #beginEpoch(index: number, epoch: number): void {
    const { begun, node } = this.world;
    const { log } = this.host(index);
    if (begun.includes(epoch)) this.breaks(`I1: epoch ${epoch} has two lives`);
    if (node.state.epochStart !== log.length && node.state.epoch === epoch) {
      this.breaks("I6: the journal of a promoted member grew before it knew of it");
    }
    this.world = { ...this.world, begun: [...begun, epoch] };
    this.change(index, { log: log + epochBatch(epoch) });
  }

  #append(index: number, piece: Uint8Array, input: Input): void {
    const { log, promised, id, durable } = this.host(index);
    if (input.kind !== "frame") return;
    const { epoch } = input.frame;
    if (epoch < promised) {
      this.breaks(`I6: ${id} promised epoch ${promised} and took from ${epoch}`);
    }
    const longer = log + String.fromCharCode(...piece);
    this.change(index, { log: longer });
    if (this.#mistake !== "trust-heartbeat" || durable === longer.length) return;
    this.#send(index, input.link, { kind: "acknowledge", epoch, position: longer.length });
  }

  #commit(index: number, position: number): void {
    const { log, member, id } = this.host(index);
    const { committed, node, hosts } = this.world;
    const prefix = log.slice(0, position);
    if (committed.startsWith(prefix)) return;
    if (member?.role.kind !== "live") return this.breaks(`I5: ${id} shows what is not committed`);
    if (!prefix.startsWith(committed)) {
      return this.breaks(`I3: ${id} commits ${prefix} over ${committed}`);
    }
    this.world = { ...this.world, committed: prefix };
    const holders = hosts.filter(
      (host) => host.log.slice(0, host.durable).startsWith(prefix) || host.wiped.startsWith(prefix),
    );
    if (holders.length < node.state.minInSync) this.breaks(`I4: ${id} commits with too few`);
  }

  /** What a live streams goes onto the links at once: links are as slow as can be anyway. */
  #ship(index: number): void {
    const { log, member } = this.host(index);
    if (member?.role.kind !== "live") return;
    const { role, commitPosition } = member;
    for (let caller = 0; caller < this.world.hosts.length; caller += 1) {
      const wire = this.#wire(caller, index);
      const from = wire?.shipped ?? log.length;
      if (wire === null || from >= log.length) continue;
      const frames = Array.from({ length: log.length - from }, (_, offset): Frame => {
        const position = from + offset;
        const piece = new Uint8Array([log.charCodeAt(position)]);
        const { epoch } = role;
        const chain = log.slice(0, position);
        return { kind: "append", epoch, position, end: position + 1, chain, commitPosition, piece };
      });
      const back = [...wire.back, ...frames];
      this.#setWire(caller, index, { ...wire, back, shipped: log.length });
    }
  }

  #send(from: number, link: number, frame: Frame): void {
    const [caller, wire] = this.#wireOf(link, from);
    if (wire !== null) return this.#setWire(caller, from, { ...wire, back: [...wire.back, frame] });
    this.world.hosts.forEach((_, called) => {
      const own = this.#wire(from, called);
      if (own?.link !== link) return;
      this.#setWire(from, called, { ...own, out: [...own.out, frame] });
    });
  }

  #falsified(from: number, to: number, frame: Frame): Frame {
    if (this.#mistake !== "truncate-to-commit" || frame.kind !== "align") return frame;
    const position = Math.min(frame.position, this.host(to).member?.commitPosition ?? 0);
    return { ...frame, position, chain: this.host(from).log.slice(0, position) };
  }

  #wire(caller: number, called: number): Wire | null {
    return this.world.wires[caller * this.world.hosts.length + called] ?? null;
  }

  /** The link of this number to a host that was called, and who called. */
  #wireOf(link: number, called: number): readonly [number, Wire | null] {
    const caller = this.world.hosts.findIndex((_, one) => this.#wire(one, called)?.link === link);
    return [caller, caller === -1 ? null : this.#wire(caller, called)];
  }

  #setWire(caller: number, called: number, wire: Wire | null): void {
    const place = caller * this.world.hosts.length + called;
    const wires = this.world.wires.map((one, index) => (index === place ? wire : one));
    this.world = { ...this.world, wires };
  }
}
