import {
  startMember,
  step,
  type Effect,
  type Frame,
  type Input,
  type MemberLog,
} from "@everhold/group";
import { brokenRule } from "./invariants.ts";
import type { Mistake } from "./mistakes.ts";
import { emptyHost, groupId, type Host, type Request, type World } from "./world.ts";

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

  isLinked(from: number, to: number): boolean {
    return this.#link(from, to) !== null;
  }

  /** Tells the process on a host what happened, and does what it wants done. */
  feed(index: number, input: Input): void {
    const { member } = this.host(index);
    if (member === null) return;
    const next = step(member, input, logOf(this.host(index)));
    if (next.member.commitPosition < member.commitPosition) this.breaks("I7: a commit came undone");
    this.change(index, { member: next.member });
    for (const effect of next.effects) this.#carryOut(index, effect, input);
    this.#ship(index);
  }

  /** A client's write on a live. */
  write(index: number, letter: string): void {
    this.change(index, { log: this.host(index).log + letter });
    this.#ship(index);
  }

  start(index: number): void {
    const { id, incarnation, fencedEpoch } = this.host(index);
    const self = { id, incarnation };
    this.change(index, { member: startMember({ self, groupId, fencedEpoch, commitPosition: 0 }) });
  }

  /** The process dies, and what was not synced with it. */
  crash(index: number): void {
    const { log, durable } = this.host(index);
    this.world.hosts.forEach((_, other) => this.disconnect(index, other));
    const lost = { log: log.slice(0, durable), fencing: null, truncating: null, member: null };
    this.change(index, lost);
    this.setRequests(
      this.world.requests.map((one) => (one.from === index ? { ...one, told: true } : one)),
    );
  }

  wipe(index: number): void {
    const { id, incarnation } = this.host(index);
    const isSame = this.#mistake === "stale-incarnation";
    const next = isSame ? incarnation : String(Number(incarnation) + 1);
    this.change(index, emptyHost(id, next, this.world.hosts.length));
  }

  connect(one: number, other: number): void {
    this.#setLink(one, other, []);
    this.#setLink(other, one, []);
    this.feed(one, { kind: "connected", id: this.host(other).id });
    this.feed(other, { kind: "connected", id: this.host(one).id });
  }

  disconnect(one: number, other: number): void {
    if (!this.isLinked(one, other)) return;
    this.#setLink(one, other, null);
    this.#setLink(other, one, null);
    for (const [index, peer] of [
      [one, other],
      [other, one],
    ] as const) {
      this.#setShipped(index, peer, null);
      this.feed(index, { kind: "disconnected", id: this.host(peer).id });
    }
  }

  /** Takes the first frame off a link, or leaves it there to come again, and hands it over. */
  deliver(from: number, to: number, again: boolean): void {
    const [frame, ...rest] = this.#link(from, to) ?? [];
    if (frame === undefined) return;
    if (!again) this.#setLink(from, to, rest);
    const received = this.#falsified(from, to, frame);
    this.feed(to, { kind: "frame", from: this.host(from).id, frame: received });
  }

  /** Requests that can do nothing any more and that nobody waits for are forgotten. */
  setRequests(requests: readonly Request[]): void {
    const { version } = this.world.node;
    const settled = requests.map((one) =>
      one.result === null && one.next.version !== version
        ? { ...one, result: "refused" as const }
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
        if (this.world.begun.includes(effect.epoch))
          this.breaks(`I1: epoch ${effect.epoch} has two lives`);
        if (
          this.world.node.state.epochStart !== host.log.length &&
          this.world.node.state.epoch === effect.epoch
        )
          this.breaks("I6: the journal of a promoted member grew before it knew of it");
        this.world = { ...this.world, begun: [...this.world.begun, effect.epoch] };
        return this.change(index, { log: host.log + String(effect.epoch) });
      case "append":
        return this.#append(index, effect.batch, input);
      case "truncate":
        return this.change(index, { truncating: effect.position });
      case "send": {
        const to = this.world.hosts.findIndex(({ id }) => id === effect.to);
        const queue = this.#link(index, to);
        if (queue !== null) this.#setLink(index, to, [...queue, effect.frame]);
        return undefined;
      }
      case "ship":
        return this.#setShipped(
          index,
          this.world.hosts.findIndex(({ id }) => id === effect.to),
          effect.from,
        );
      case "disconnect":
        return this.disconnect(
          index,
          this.world.hosts.findIndex(({ id }) => id === effect.id),
        );
      case "commit":
        return this.#commit(index, effect.position);
      case "step-down":
        return this.change(index, { shipped: host.shipped.map(() => null) });
      case "stop":
        return this.breaks(`${host.id} stopped itself: ${effect.reason}`);
      case "read":
        return undefined;
    }
  }

  #request(index: number, { next }: Effect & { kind: "request" }): void {
    const { member } = this.host(index);
    const before = member?.known?.state.inSync.length ?? 0;
    const isShrink = member?.role.kind === "live" && next.state.inSync.length < before;
    const told = isShrink && this.#mistake === "release-before-shrink";
    this.setRequests([...this.world.requests, { from: index, next, result: null, told }]);
    if (told) this.feed(index, { kind: "outcome", result: "done" });
  }

  #append(index: number, batch: Uint8Array, input: Input): void {
    const { log, promised, id, durable } = this.host(index);
    const epoch = input.kind === "frame" ? input.frame.epoch : 0;
    if (epoch < promised)
      this.breaks(`I6: ${id} promised epoch ${promised} and took from ${epoch}`);
    const longer = log + String.fromCharCode(...batch);
    this.change(index, { log: longer });
    if (this.#mistake !== "trust-heartbeat" || input.kind !== "frame") return;
    const to = this.world.hosts.findIndex((one) => one.id === input.from);
    const queue = this.#link(index, to);
    const acknowledge = { kind: "acknowledge", epoch, position: longer.length } as const;
    if (queue !== null && durable < longer.length)
      this.#setLink(index, to, [...queue, acknowledge]);
  }

  #commit(index: number, position: number): void {
    const { log, member, id } = this.host(index);
    const { committed } = this.world;
    const prefix = log.slice(0, position);
    if (committed.startsWith(prefix)) return;
    if (member?.role.kind !== "live") return this.breaks(`I5: ${id} shows what is not committed`);
    if (!prefix.startsWith(committed))
      return this.breaks(`I3: ${id} commits ${prefix} over ${committed}`);
    this.world = { ...this.world, committed: prefix };
    const { state } = this.world.node;
    const durableCount = this.world.hosts.filter((host) =>
      host.log.slice(0, host.durable).startsWith(prefix),
    ).length;
    const isWhole = this.world.hosts.every(({ incarnation }) => incarnation === "1");
    if (isWhole && durableCount < state.minInSync) this.breaks(`I4: ${id} commits with too few`);
  }

  /** What the lives stream goes onto the links at once: links are as slow as can be anyway. */
  #ship(index: number): void {
    const { log, shipped, member } = this.host(index);
    if (member?.role.kind !== "live") return;
    const { epoch } = member.role;
    shipped.forEach((from, to) => {
      const queue = this.#link(index, to);
      if (from === null || queue === null || from >= log.length) return;
      const frames = Array.from({ length: log.length - from }, (_, offset): Frame => {
        const position = from + offset;
        const batch = new Uint8Array([log.charCodeAt(position)]);
        const { commitPosition } = member;
        return {
          kind: "append",
          epoch,
          position,
          chain: log.slice(0, position),
          commitPosition,
          batch,
        };
      });
      this.#setLink(index, to, [...queue, ...frames]);
      this.#setShipped(index, to, log.length);
    });
  }

  #falsified(from: number, to: number, frame: Frame): Frame {
    if (this.#mistake !== "truncate-to-commit" || frame.kind !== "align") return frame;
    const position = Math.min(frame.position, this.host(to).member?.commitPosition ?? 0);
    return { ...frame, position, chain: this.host(from).log.slice(0, position) };
  }

  #link(from: number, to: number): readonly Frame[] | null {
    return this.world.links[from * this.world.hosts.length + to] ?? null;
  }

  #setLink(from: number, to: number, queue: readonly Frame[] | null): void {
    const place = from * this.world.hosts.length + to;
    const links = this.world.links.map((one, index) => (index === place ? queue : one));
    this.world = { ...this.world, links };
  }

  #setShipped(index: number, peer: number, position: number | null): void {
    const { shipped } = this.host(index);
    this.change(index, { shipped: shipped.map((one, to) => (to === peer ? position : one)) });
  }
}

function logOf({ log, durable }: Host): MemberLog {
  const epochs = [...log].flatMap((letter, position) =>
    /\d/.test(letter) ? [{ epoch: Number(letter), position }] : [],
  );
  return {
    end: log.length,
    durable,
    epochs,
    // The whole beginning is the best of chain values.
    chainAt: (position) => (position <= log.length ? log.slice(0, position) : null),
  };
}
