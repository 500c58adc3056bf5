import { EverholdError } from "@everhold/base";
import type { DiskSilence, Ports, Timer } from "@everhold/env";
import {
  acceptsWrites,
  agreedPosition,
  startMember,
  step,
  type Coordinator,
  type CoordinatorListener,
  type Effect,
  type Frame,
  type Input,
  type Member,
  type MemberAddress,
  type MemberLog,
  type MemberStart,
  type Peer,
  type StopReason,
} from "@everhold/group";
import { FillServer } from "../fill/fill-server.ts";
import type { Links, LinksListener } from "../links.ts";
import { PieceExchange } from "../mend/piece-exchange.ts";
import { AwakeClock } from "./awake-clock.ts";
import { HeldFrames } from "./held-frames.ts";
import { hungError, successorOf } from "./hung-disk.ts";
import { LagWatch } from "./lag-watch.ts";
import { Lease } from "./lease.ts";
import { tellStory } from "./member-story.ts";
import { memberLogOf, type MemberJournal, type MemberJournalListener } from "./member-journal.ts";
import { NodeMemory } from "./node-memory.ts";
import { Patience } from "./patience.ts";
import { PeerWatch } from "./peer-watch.ts";
import { Shipper, type ShipNews } from "./shipper.ts";
import type { GroupTiming } from "./timing.ts";

/** Who lives on the journal, and is told what it may do. Calls may happen inside a call of the driver. */
export interface MemberHost {
  /** The journal is written here from now on. Nobody is served yet. */
  onPromoted(): void;
  /** Clients may be let in: everything that was ever committed is here and known to be, and nobody else leads. */
  onServe(): void;
  /** What is known of the group's node is news: {@link MemberDriver.member}. */
  onKnown(): void;
  /** {@link MemberDriver.mayDispatch} or {@link MemberDriver.mayTake} has changed to true, or the latter to false. */
  onAuthority(): void;
  /**
   * It leads no more: what was not committed has an unknown outcome, and may be cut away. The driver does nothing more;
   * a new one begins with what the disk says.
   */
  onSteppedDown(): void;
  /**
   * It may do nothing more until an operator has looked: the driver does nothing more. If it led, it leads no more, as with
   * `onSteppedDown`, which is not called.
   */
  onStopped(reason: StopReason): void;
  /**
   * It leads, its disk does not answer, and another member could lead: this one has to end, without waiting for the disk, so
   * that everybody finds it gone.
   */
  onHung(error: EverholdError): void;
}

/** What a {@link MemberDriver} is made of. */
export interface MemberDriverParts {
  readonly ports: Pick<Ports, "timers" | "monotonicClock" | "log" | "hash">;
  readonly start: MemberStart;
  readonly journal: MemberJournal;
  /** For how long what is to be stored has been waiting for the disk. */
  readonly disk: { readonly silence: DiskSilence | undefined };
  readonly links: Links;
  readonly coordinator: Coordinator;
  readonly host: MemberHost;
  readonly timing: GroupTiming;
}

/**
 * Carries out what a member decides, from the opening of its journal until it has led or was stopped: each thing that
 * happens goes through `step`, and each effect goes to the journal, the links, the coordinator or the host.
 */
export class MemberDriver implements LinksListener, CoordinatorListener, MemberJournalListener {
  readonly #parts: MemberDriverParts;
  readonly #lease: Lease;
  readonly #patience: Patience;
  readonly #peers: PeerWatch;
  readonly #lags = new LagWatch();
  readonly #memory: NodeMemory;
  readonly #held: HeldFrames;
  readonly #fills: FillServer;
  readonly #pieces: PieceExchange;
  readonly #shippers = new Map<number, Shipper>();
  /** The links that this driver was told of. */
  readonly #open = new Map<number, OpenLink>();
  readonly #inputs: Input[] = [];
  readonly #log: MemberLog;
  readonly #awake: AwakeClock;
  #member: Member;
  #isStepping = false;
  #isOver = false;
  #isServing = false;
  #mayTake = false;
  #mayDispatch = false;
  #liveOldestPosition = 0;
  /** When this member was last told to stand because its live seemed gone; undefined where that was taken back. */
  #hintedAtMs: number | undefined;
  /** Whom it is told to wait for, since it may not lead itself. */
  #waitsFor: string | undefined;
  /** Why the group's node could not be read the last time; undefined where it could. */
  #unreadable: string | undefined;
  /** Whether it was said that nobody could lead in place of this live, whose disk does not answer. */
  #isToldAlone = false;
  #ticking: Timer | undefined;
  #retrying: Timer | undefined;
  #givingUp: Timer | undefined;

  constructor(parts: MemberDriverParts) {
    this.#parts = parts;
    const { timing, ports, journal } = parts;
    const nowMs = ports.monotonicClock.nowMs();
    this.#member = startMember(parts.start);
    this.#log = memberLogOf(journal);
    this.#awake = new AwakeClock(timing.beatMs, nowMs);
    this.#lease = new Lease(timing.leaseMs);
    this.#patience = new Patience(timing, this.#awake.at(nowMs), nowMs);
    this.#peers = new PeerWatch(timing);
    this.#memory = new NodeMemory(ports, journal);
    this.#held = new HeldFrames((position) => journal.findChain(position));
    this.#fills = new FillServer({ ports, journal, links: parts.links });
    const epoch = (): number => this.#member.fencedEpoch;
    this.#pieces = new PieceExchange({ ports, journal, links: parts.links, epoch });
    journal.supplier = (position) => this.#pieces.fetch(position, this.#open.keys());
  }

  /** What it knows and is. */
  get member(): Member {
    return this.#member;
  }

  /** Whether messages may be handed out at this moment: no other member can be doing so. */
  get mayDispatch(): boolean {
    if (!this.#isServing || this.#isOver) return false;
    const nowMs = this.#nowMs;
    return this.#lease.holds(nowMs) && nowMs >= this.#patience.quietFromMs;
  }

  /** Whether requests are taken: not while it hands over, nor below the minimum in sync. */
  get mayTake(): boolean {
    return this.#mayTake;
  }

  /** How long ago this backup of a live had everything that there was, in ms, to a beat. */
  lagMs(peer: Peer): number {
    return this.#lags.lagMs(peer, this.#log.end, this.#nowMs);
  }

  /** What lies before it was not kept any more by the live that this member followed last, as that said; 0 at first. */
  get liveOldestPosition(): number {
    return this.#liveOldestPosition;
  }

  /** Begins: reads the group's node, and acts by it. */
  start(): void {
    this.#take({ kind: "changed" });
    this.#tick();
  }

  /**
   * Gives way to another member, in sync, which then leads; it is given up after `handOverMs`. null: goes on after all. To
   * the live only.
   */
  handOver(to: string | null): void {
    this.#givingUp?.cancel();
    this.#take({ kind: "hand-over", to });
    if (to === null) return;
    this.#givingUp = this.#parts.ports.timers.after(this.#parts.timing.handOverMs, () => {
      this.#parts.ports.log.warn("The hand-over did not happen in time: it is given up", { to });
      this.#take({ kind: "hand-over", to: null });
    });
  }

  /** Stands for promotion although it may lack what is committed, if the node is still the one that was seen. */
  promoteUncleanly(created: string, version: number): void {
    this.#hintedAtMs = undefined;
    this.#take({ kind: "promote", without: [], unclean: { created, version } });
  }

  /** Does nothing more, and follows nobody. Its links end: whoever is at the other end begins anew with what comes after it. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#mayTake = false;
    this.#ticking?.cancel();
    this.#retrying?.cancel();
    this.#givingUp?.cancel();
    for (const shipper of this.#shippers.values()) shipper.stop();
    this.#shippers.clear();
    this.#held.clear();
    this.#fills.close();
    this.#pieces.close();
    this.#parts.journal.supplier = undefined;
    const { links } = this.#parts;
    links.follow(null);
    for (const link of this.#open.keys()) links.disconnect(link);
    this.#open.clear();
  }

  // What the links tell.

  onConnected(link: number, id: string, outgoing: boolean): void {
    if (this.#isOver) return this.#parts.links.disconnect(link);
    this.#open.set(link, { aliveAtMs: this.#awakeMs, answeredAtMs: undefined });
    this.#take({ kind: "connected", link, id, outgoing });
  }

  onFrame(link: number, frame: Frame): void {
    // A link that was made before this driver began, or after it ended.
    if (!this.#open.has(link)) return this.#parts.links.disconnect(link);
    if (this.#followedLink === link) {
      this.#patience.heard(this.#awakeMs);
      this.#takeBackHint();
    }
    if (frame.kind === "fillAsk" || frame.kind === "fillRead") return this.#fill(link, frame);
    if (frame.kind === "pieceAsk" || frame.kind === "pieceGiven") {
      return this.#pieces.onFrame(link, frame);
    }
    if (frame.kind === "beat") this.#answer(link, frame);
    if (frame.kind === "answer") return this.#noteAnswer(link, frame);
    const position = this.#chainWanted(frame);
    const isKnown = position === null || this.#log.chainAt(position) !== null;
    const isTaken = this.#held.pass(link, frame, isKnown ? null : position, (ready) => {
      this.#take({ kind: "frame", link, frame: ready });
      // What arrived makes room for more.
      if (ready.kind === "acknowledge") this.#shippers.get(link)?.pump();
    });
    if (isTaken) return;
    const { links, ports } = this.#parts;
    ports.log.warn("A member sends more than may wait: its link is ended", { link });
    links.disconnect(link);
  }

  onDrained(link: number): void {
    this.#shippers.get(link)?.pump();
  }

  onDisconnected(link: number): void {
    this.#endLink(link);
    this.#take({ kind: "disconnected", link });
  }

  onUnreachable(id: string, why: "refused" | "silent"): void {
    if (why === "refused" && this.#member.known?.state.live?.id === id) {
      this.#patience.liveRefused(this.#awakeMs);
      this.#considerPromotion();
    }
  }

  // What the coordinator tells.

  onStateMayHaveChanged(): void {
    this.#take({ kind: "changed" });
  }

  onLiveGone(): void {
    this.#patience.claimGone();
  }

  onMembers(_members: readonly MemberAddress[]): void {
    // Whoever opened the links looks up where members are.
  }

  // What the journal tells.

  onDurable(): void {
    this.#take({ kind: "durable" });
  }

  onMore(): void {
    for (const shipper of this.#shippers.values()) shipper.pump();
  }

  onFailed(_error: EverholdError): void {
    this.#take({ kind: "stop" });
  }

  get #nowMs(): number {
    return this.#parts.ports.monotonicClock.nowMs();
  }

  get #awakeMs(): number {
    return this.#awake.at(this.#nowMs);
  }

  /** The link to the live that this member follows, from its greeting on. */
  get #followedLink(): number | undefined {
    const { role } = this.#member;
    if (role.kind !== "backup" || role.following.kind === "nobody") return undefined;
    return role.following.link;
  }

  /** One thing has happened. What it leads to at once comes after it, in order. */
  #take(input: Input): void {
    if (this.#isOver) return;
    this.#inputs.push(input);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        const before = this.#member;
        const { member, effects } = step(before, next, this.#log);
        if (next.kind === "frame" && !this.#append(next.link, effects)) continue;
        this.#member = member;
        this.#noteEpoch(before, member);
        tellStory(this.#parts.ports.log, before, member);
        if (member.known !== before.known) this.#parts.host.onKnown();
        for (const effect of effects) this.#carryOut(effect);
        if (this.#isOver) return;
      }
    } finally {
      this.#isStepping = false;
    }
    if (asksAgain(this.#member)) this.#retryLater();
    this.#lease.update(this.#member);
    this.#tellAuthority();
  }

  #carryOut(effect: Effect): void {
    if (this.#isOver) return;
    const { journal, links, host, coordinator } = this.#parts;
    switch (effect.kind) {
      case "fence":
        return this.#fence(effect.epoch);
      case "read":
        return this.#read();
      case "request": {
        const { request, requestKind, next } = effect;
        coordinator.request(requestKind, next).then(
          (result) => {
            this.#take({ kind: "outcome", request, result });
          },
          (error: unknown) => {
            this.#fail(error);
          },
        );
        return;
      }
      case "begin-epoch":
        journal.beginEpoch(effect.epoch, effect.unclean);
        return host.onPromoted();
      case "append":
        // Done before anything else.
        return undefined;
      case "truncate":
        return this.#afterwards(journal.truncate(effect.position), { kind: "truncated" });
      case "follow":
        return links.follow(effect.id);
      case "send":
        return links.send(effect.link, effect.frame);
      case "ship":
        return this.#ship(effect.link, effect.from);
      case "disconnect":
        this.#endLink(effect.link);
        return links.disconnect(effect.link);
      case "commit":
        return journal.setCommitted(effect.position);
      case "step-down":
        // Who stops is told that alone.
        if (this.#member.role.kind === "stopped") return undefined;
        this.close();
        return host.onSteppedDown();
      case "stop":
        this.close();
        return host.onStopped(effect.reason);
    }
  }

  /** A full disk is waited for: who has not promised an epoch neither follows nor leads in it. */
  #fence(epoch: number): void {
    if (this.#isOver) return;
    const { journal, ports, timing } = this.#parts;
    journal.fence(epoch).then(
      () => {
        this.#take({ kind: "fenced", epoch });
      },
      (error: unknown) => {
        if (!EverholdError.is(error, "EVH_DISK_FULL")) return this.#fail(error);
        ports.log.warn("The disk is full: this member waits for room to promise an epoch", {
          epoch,
        });
        ports.timers.after(timing.retryMs, () => this.#fence(epoch));
      },
    );
  }

  #read(): void {
    const since = this.#memory.newest(this.#member.known);
    this.#parts.coordinator.read().then(
      (found) => {
        if (this.#isOver) return;
        this.#noteUnreadable(found.kind === "unreadable" ? found.error.message : undefined);
        const isDoubted =
          found.kind === "state" && this.#memory.doubts(found.known, since, this.#nowMs);
        if (found.kind === "state" && !isDoubted) {
          this.#forgetOldHint();
          return this.#take({ ...found, since });
        }
        this.#retryLater();
        this.#take({ kind: found.kind === "state" ? "unreadable" : found.kind });
      },
      (error: unknown) => {
        this.#fail(error);
      },
    );
  }

  /** Says once for each reason why the node cannot be read. */
  #noteUnreadable(reason: string | undefined): void {
    if (reason !== undefined && reason !== this.#unreadable) {
      this.#parts.ports.log.error("The group's state cannot be read", { reason });
    }
    this.#unreadable = reason;
  }

  /** Somebody else leads since: how long its predecessor may hand out messages is not known here. */
  #noteEpoch({ known: before }: Member, { known, self }: Member): void {
    const { live, epoch } = known?.state ?? {};
    if (epoch === before?.state.epoch || live?.id === self.id) return;
    this.#patience.otherPromoted(this.#nowMs);
  }

  /**
   * Appends what a frame brings. What the journal refuses has not come: nothing of the frame is done, and its link ends.
   */
  #append(link: number, effects: readonly Effect[]): boolean {
    const effect = effects.find(({ kind }) => kind === "append");
    if (effect?.kind !== "append") return true;
    const { journal, links, ports } = this.#parts;
    const { position, end, piece } = effect;
    try {
      journal.append({ position, end, bytes: piece });
      return true;
    } catch (error) {
      if (!EverholdError.is(error)) throw error;
      const { code, message } = error;
      ports.log.error("The journal refuses what the live sent", { link, position, code, message });
    }
    this.#endLink(link);
    links.disconnect(link);
    this.#take({ kind: "disconnected", link });
    return false;
  }

  /** Reads the node anew and asks again, after a pause. */
  #retryLater(): void {
    this.#retrying ??= this.#parts.ports.timers.after(this.#parts.timing.retryMs, () => {
      this.#retrying = undefined;
      this.#take({ kind: "retry" });
      this.#take({ kind: "changed" });
    });
  }

  #afterwards(work: Promise<void>, input: Input): void {
    work.then(
      () => {
        this.#take(input);
      },
      (error: unknown) => {
        this.#fail(error);
      },
    );
  }

  /** What must not fail has failed: a member that cannot keep its word stops. */
  #fail(error: unknown): void {
    if (this.#isOver || EverholdError.is(error, "EVH_CLOSED")) return;
    this.#parts.ports.log.error("A member of the group cannot go on", {
      reason: error instanceof Error ? error.message : String(error),
    });
    this.#take({ kind: "stop" });
  }

  /** Where the core will ask for the chain because of this frame; null: nowhere. */
  #chainWanted(frame: Frame): number | null {
    switch (frame.kind) {
      case "hello": {
        const position = agreedPosition(this.#log, frame);
        // What is not kept is not looked for.
        return position < this.#log.oldestPosition ? null : position;
      }
      case "align":
      case "append":
        return frame.position;
      default:
        return null;
    }
  }

  #ship(link: number, from: number): void {
    const { journal, links } = this.#parts;
    const news = (): ShipNews => {
      const { role, commitPosition } = this.#member;
      if (role.kind !== "live") return { epoch: 0, commitPosition, acknowledged: 0 };
      const peer = role.peers.find((one) => one.link === link);
      return { epoch: role.epoch, commitPosition, acknowledged: peer?.acknowledged ?? 0 };
    };
    const onFailed = (error: unknown): void => {
      // It calls anew, and what it needs may be told to be gone. The group goes on with the others.
      this.#parts.ports.log.error("A backup cannot be sent what it needs: its link is ended", {
        link,
        reason: error instanceof Error ? error.message : String(error),
      });
      links.disconnect(link);
    };
    const shipper = new Shipper({ journal, links, onFailed }, link, from, news);
    this.#shippers.set(link, shipper);
    // Who is in sync soon has to answer first.
    this.#sendBeat(link);
    shipper.pump();
  }

  /** A backup that is too far behind wants the files themselves. What it gets decides nothing: it greets anew. */
  #fill(link: number, frame: Frame<"fillAsk" | "fillRead">): void {
    const { role } = this.#member;
    if (role.kind === "live") this.#fills.onFrame(link, frame, role.epoch);
    else this.#parts.links.disconnect(link);
  }

  #endLink(link: number): void {
    this.#fills.forget(link);
    this.#pieces.forget(link);
    this.#shippers.get(link)?.stop();
    this.#shippers.delete(link);
    this.#lease.forget(link);
    this.#open.delete(link);
    this.#held.forget(link);
  }

  /** A beat of the live that this member follows is answered at once: so it keeps its lease. */
  #answer(link: number, { epoch, sentAtMs, leaseMs, oldestPosition }: Frame<"beat">): void {
    const { role, fencing, fencedEpoch } = this.#member;
    if (role.kind !== "backup" || role.following.kind !== "aligned") return;
    if (role.following.link !== link || fencing !== null || fencedEpoch !== epoch) return;
    this.#patience.answered(this.#nowMs, leaseMs);
    this.#parts.links.send(link, { kind: "answer", epoch, sentAtMs });
    this.#liveOldestPosition = oldestPosition;
  }

  #noteAnswer(link: number, { epoch, sentAtMs }: Frame<"answer">): void {
    const { role } = this.#member;
    const nowMs = this.#nowMs;
    if (role.kind !== "live" || role.epoch !== epoch || sentAtMs > nowMs) return;
    const awakeMs = this.#awake.at(nowMs);
    const before = this.#open.get(link)?.answeredAtMs ?? -Infinity;
    const answeredAtMs = Math.max(before, awakeMs - (nowMs - sentAtMs));
    this.#open.set(link, { aliveAtMs: awakeMs, answeredAtMs });
    this.#lease.noteAnswer(link, sentAtMs);
    this.#lease.update(this.#member);
    this.#tellAuthority();
  }

  /** Every `beatMs`: signs of life, and a look at who gives none. */
  #tick(): void {
    this.#ticking = this.#parts.ports.timers.after(this.#parts.timing.beatMs, () => {
      this.#tick();
      this.#awake.tick(this.#nowMs);
      this.#beat();
      this.#considerDisk();
      this.#leaveSilentLink();
      this.#considerPromotion();
      this.#memory.look(this.#member.known, this.#nowMs);
      this.#tellWait();
      this.#tellAuthority();
    });
  }

  #beat(): void {
    const { role } = this.#member;
    if (role.kind !== "live") return;
    for (const { link, acknowledged } of role.peers) {
      // It seems to be up, and nothing comes back on it: whoever is there has to call anew.
      if (acknowledged !== null && this.#isStale(link)) this.#parts.links.disconnect(link);
      this.#sendBeat(link);
    }
    this.#lags.look(role.peers, this.#log.end, this.#nowMs);
    const verdicts = this.#peers.look(
      this.#member,
      this.#log.end,
      this.#awakeMs,
      (link) => this.#open.get(link)?.answeredAtMs,
    );
    for (const verdict of verdicts) this.#take(verdict);
  }

  #sendBeat(link: number): void {
    const { role, commitPosition } = this.#member;
    if (role.kind !== "live") return;
    const { epoch } = role;
    const { keptFrom: oldestPosition } = this.#parts.journal;
    const { leaseMs } = this.#parts.timing;
    const sentAtMs = Math.floor(this.#nowMs);
    const said = { epoch, sentAtMs, leaseMs, commitPosition, oldestPosition };
    this.#parts.links.send(link, { kind: "beat", ...said });
  }

  /** Whether nothing was heard on this link for as long as nothing may be, and it is not a new one. */
  #isStale(link: number): boolean {
    const aliveAtMs = this.#open.get(link)?.aliveAtMs ?? -Infinity;
    return this.#awakeMs - aliveAtMs >= this.#parts.timing.graceMs;
  }

  /** A live that says nothing on a link that seems to be up is called anew. */
  #leaveSilentLink(): void {
    const link = this.#followedLink;
    if (link === undefined || !this.#patience.isSilent(this.#awakeMs)) return;
    if (this.#isStale(link)) this.#parts.links.disconnect(link);
  }

  /**
   * A live whose disk does not answer commits nothing, and seems to be well to everybody: whoever could lead instead is let. It
   * does not hand over, for that would need the disk.
   */
  #considerDisk(): void {
    const { timing, ports, host, disk } = this.#parts;
    const { role, self } = this.#member;
    const { silence } = disk;
    if (role.kind !== "live" || silence === undefined || silence.silentMs < timing.hungMs) {
      this.#isToldAlone = false;
      return;
    }
    const fields = { member: self.id, ...silence };
    const to = successorOf(this.#member, this.#log.end, (link) => this.#isAnswering(link));
    if (to !== undefined) {
      ports.log.error(messages.givesWay, { ...fields, to });
      host.onHung(hungError(self.id, silence, to));
    } else if (!this.#isToldAlone) {
      this.#isToldAlone = true;
      ports.log.error(messages.isAlone, fields);
    }
  }

  /** Whether a beat was answered on this link that was sent less than a lease ago. */
  #isAnswering(link: number): boolean {
    const answeredAtMs = this.#open.get(link)?.answeredAtMs ?? -Infinity;
    return this.#awakeMs - answeredAtMs < this.#parts.timing.leaseMs;
  }

  #considerPromotion(): void {
    const standing = this.#patience.verdict(this.#member, this.#awakeMs);
    if (standing === null) return;
    this.#hintedAtMs = this.#awakeMs;
    this.#take({ kind: "promote", ...standing });
  }

  /** The live is not gone after all: what was wished for because of that is not, where it still waits for the node. */
  #takeBackHint(): void {
    if (this.#hintedAtMs === undefined) return;
    this.#hintedAtMs = undefined;
    if (this.#member.role.kind === "backup") this.#take({ kind: "withdraw" });
  }

  /** Who could not read the node for so long was perhaps cut off itself, and its live from nobody else. */
  #forgetOldHint(): void {
    if (this.#hintedAtMs === undefined) return;
    if (this.#awakeMs - this.#hintedAtMs < this.#parts.timing.graceMs) return;
    this.#takeBackHint();
    this.#patience.beginAgain(this.#awakeMs);
  }

  /** Once for each set of members it waits for. */
  #tellWait(): void {
    const waitsFor = this.#patience.waitsFor(this.#member, this.#awakeMs);
    if (waitsFor === this.#waitsFor) return;
    this.#waitsFor = waitsFor;
    if (waitsFor === undefined) return;
    const { groupId, self } = this.#member;
    this.#parts.ports.log.warn(
      "No live is heard, and this member may not lead, since it is not in sync: start one of those who are",
      { group: groupId, member: self.id, inSync: waitsFor },
    );
  }

  #tellAuthority(): void {
    if (this.#isOver) return;
    const { host } = this.#parts;
    if (!this.#isServing) {
      if (!acceptsWrites(this.#member)) return;
      this.#isServing = true;
      this.#mayTake = true;
      host.onServe();
    }
    if (this.#isOver) return;
    const mayTake = acceptsWrites(this.#member);
    const { mayDispatch } = this;
    const isNews = mayTake !== this.#mayTake || (mayDispatch && !this.#mayDispatch);
    this.#mayTake = mayTake;
    this.#mayDispatch = mayDispatch;
    if (isNews) host.onAuthority();
  }
}

/** What a live says whose disk does not answer. */
const messages = {
  givesWay: "This live's disk does not answer: it ends, so that another one leads",
  isAlone: "This live's disk does not answer, and nobody else could lead: it waits",
} as const;

/** What is known of a link, in time that this process was awake. */
interface OpenLink {
  /** When it was last known to be alive: made, or answered on. */
  readonly aliveAtMs: number;
  /** When the newest beat was sent that was answered on it. */
  readonly answeredAtMs: number | undefined;
}

/** Whether something failed, or was asked of a member that may not have understood, and is to be asked for again. */
function asksAgain({ failedVersion, role }: Member): boolean {
  return failedVersion !== null || (role.kind === "live" && role.handOver !== null);
}
