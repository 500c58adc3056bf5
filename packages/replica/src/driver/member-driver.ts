import { EverholdError } from "@everhold/base";
import type { Ports, Timer } from "@everhold/env";
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
  type MemberStart,
  type StopReason,
} from "@everhold/group";
import type { Links, LinksListener } from "../links.ts";
import { HeldFrames } from "./held-frames.ts";
import { Lease } from "./lease.ts";
import { tellStory } from "./member-story.ts";
import type { MemberJournal, MemberJournalListener } from "./member-journal.ts";
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
  /** It may do nothing more until an operator has looked. The driver does nothing more. */
  onStopped(reason: StopReason): void;
}

/** What a {@link MemberDriver} is made of. */
export interface MemberDriverParts {
  readonly ports: Pick<Ports, "timers" | "monotonicClock" | "log">;
  readonly start: MemberStart;
  readonly journal: MemberJournal;
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
  readonly #held: HeldFrames;
  readonly #shippers = new Map<number, Shipper>();
  /** When each link was last known to be alive: made, or answered on. */
  readonly #aliveAtMs = new Map<number, number>();
  readonly #inputs: Input[] = [];
  #member: Member;
  #isStepping = false;
  #isOver = false;
  #isServing = false;
  #mayTake = false;
  #mayDispatch = false;
  #ticking: Timer | undefined;
  #retrying: Timer | undefined;
  #givingUp: Timer | undefined;

  constructor(parts: MemberDriverParts) {
    this.#parts = parts;
    const { timing, ports, journal } = parts;
    this.#member = startMember(parts.start);
    this.#lease = new Lease(timing.leaseMs);
    this.#patience = new Patience(timing, ports.monotonicClock.nowMs());
    this.#peers = new PeerWatch(timing);
    this.#held = new HeldFrames((position) => journal.findChain(position));
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

  /** Whether requests are taken. */
  get mayTake(): boolean {
    return this.#mayTake;
  }

  /** Begins: reads the group's node, and acts by it. */
  start(): void {
    this.#take({ kind: "changed" });
    this.#tick();
  }

  /** Gives way to another member, in sync, which then leads; it is given up after `handOverMs`. To the live only. */
  handOver(to: string): void {
    this.#givingUp?.cancel();
    this.#take({ kind: "hand-over", to });
    this.#givingUp = this.#parts.ports.timers.after(this.#parts.timing.handOverMs, () => {
      this.#parts.ports.log.warn("The hand-over did not happen in time: it is given up", { to });
      this.#take({ kind: "hand-over", to: null });
    });
  }

  /** Stands for promotion although it may lack what is committed, if the node is still the one that was seen. */
  promoteUncleanly(created: string, version: number): void {
    this.#take({ kind: "promote", without: [], unclean: { created, version } });
  }

  /** Does nothing more. */
  close(): void {
    this.#isOver = true;
    this.#mayTake = false;
    this.#ticking?.cancel();
    this.#retrying?.cancel();
    this.#givingUp?.cancel();
    for (const shipper of this.#shippers.values()) shipper.stop();
    this.#shippers.clear();
    this.#held.clear();
  }

  // What the links tell.

  onConnected(link: number, id: string, outgoing: boolean): void {
    this.#aliveAtMs.set(link, this.#nowMs);
    this.#take({ kind: "connected", link, id, outgoing });
  }

  onFrame(link: number, frame: Frame): void {
    if (this.#isOver) return;
    if (this.#followedLink === link) this.#patience.heard(this.#nowMs);
    if (frame.kind === "beat") this.#answer(link, frame);
    if (frame.kind === "answer") return this.#noteAnswer(link, frame);
    const position = this.#chainWanted(frame);
    const isKnown = position === null || this.#parts.journal.log.chainAt(position) !== null;
    this.#held.pass(link, frame, isKnown ? null : position, (ready) => {
      this.#take({ kind: "frame", link, frame: ready });
      // What arrived makes room for more.
      if (ready.kind === "acknowledge") this.#shippers.get(link)?.pump();
    });
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
      this.#patience.liveRefused();
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
        const { member, effects } = step(before, next, this.#parts.journal.log);
        this.#member = member;
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
        return this.#afterwards(journal.fence(effect.epoch), {
          kind: "fenced",
          epoch: effect.epoch,
        });
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
      case "append": {
        const { position, end, piece } = effect;
        return journal.append({ position, end, bytes: piece });
      }
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
        this.close();
        return host.onSteppedDown();
      case "stop":
        this.close();
        return host.onStopped(effect.reason);
    }
  }

  #read(): void {
    this.#parts.coordinator.read().then(
      (found) => {
        if (found.kind === "state") return this.#take(found);
        if (found.kind === "unreadable") {
          this.#parts.ports.log.error("The group's state cannot be read", {
            reason: found.error.message,
          });
        }
        this.#retryLater();
        return this.#take({ kind: found.kind });
      },
      (error: unknown) => {
        this.#fail(error);
      },
    );
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
      case "hello":
        return agreedPosition(this.#parts.journal.log, frame);
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
      this.#fail(error);
    };
    const shipper = new Shipper({ journal, links, onFailed }, link, from, news);
    this.#shippers.set(link, shipper);
    shipper.pump();
  }

  #endLink(link: number): void {
    this.#shippers.get(link)?.stop();
    this.#shippers.delete(link);
    this.#lease.forget(link);
    this.#aliveAtMs.delete(link);
    this.#held.forget(link);
  }

  /** A beat of the live that this member follows is answered at once: so it keeps its lease. */
  #answer(link: number, { epoch, sentAtMs }: Frame<"beat">): void {
    const { role, fencing, fencedEpoch } = this.#member;
    if (role.kind !== "backup" || role.following.kind !== "aligned") return;
    if (role.following.link !== link || fencing !== null || fencedEpoch !== epoch) return;
    this.#patience.answered(this.#nowMs);
    this.#parts.links.send(link, { kind: "answer", epoch, sentAtMs });
  }

  #noteAnswer(link: number, { epoch, sentAtMs }: Frame<"answer">): void {
    const { role } = this.#member;
    if (role.kind !== "live" || role.epoch !== epoch || sentAtMs > this.#nowMs) return;
    this.#aliveAtMs.set(link, this.#nowMs);
    this.#lease.noteAnswer(link, sentAtMs);
    this.#lease.update(this.#member);
    this.#tellAuthority();
  }

  /** Every `beatMs`: signs of life, and a look at who gives none. */
  #tick(): void {
    this.#ticking = this.#parts.ports.timers.after(this.#parts.timing.beatMs, () => {
      this.#tick();
      this.#beat();
      this.#leaveSilentLink();
      this.#considerPromotion();
      this.#tellAuthority();
    });
  }

  #beat(): void {
    const { role, commitPosition } = this.#member;
    if (role.kind !== "live") return;
    const sentAtMs = Math.floor(this.#nowMs);
    const { epoch } = role;
    for (const { link, acknowledged } of role.peers) {
      const aliveAtMs = this.#aliveAtMs.get(link) ?? -Infinity;
      // It seems to be up, and nothing comes back on it: whoever is there has to call anew.
      if (acknowledged !== null && sentAtMs - aliveAtMs >= this.#parts.timing.graceMs) {
        this.#parts.links.disconnect(link);
      }
      this.#parts.links.send(link, { kind: "beat", epoch, sentAtMs, commitPosition });
    }
    const { log } = this.#parts.journal;
    const verdicts = this.#peers.look(this.#member, log.end, this.#nowMs, (link) =>
      this.#lease.answeredAt(link),
    );
    for (const verdict of verdicts) this.#take(verdict);
  }

  /** A live that says nothing on a link that seems to be up is called anew. */
  #leaveSilentLink(): void {
    const link = this.#followedLink;
    if (link !== undefined && this.#patience.isSilent(this.#nowMs))
      this.#parts.links.disconnect(link);
  }

  #considerPromotion(): void {
    const standing = this.#patience.verdict(this.#member, this.#nowMs);
    if (standing !== null) this.#take({ kind: "promote", ...standing });
  }

  #tellAuthority(): void {
    const { role } = this.#member;
    if (this.#isOver || role.kind !== "live") return;
    const { host } = this.#parts;
    if (!this.#isServing && acceptsWrites(this.#member)) {
      this.#isServing = true;
      this.#mayTake = true;
      host.onServe();
    }
    if (!this.#isServing) return;
    const mayTake = role.handOver === null;
    const { mayDispatch } = this;
    const isNews = mayTake !== this.#mayTake || (mayDispatch && !this.#mayDispatch);
    this.#mayTake = mayTake;
    this.#mayDispatch = mayDispatch;
    if (isNews) host.onAuthority();
  }
}

/** Whether something failed, or was asked of a member that may not have understood, and is to be asked for again. */
function asksAgain({ failedVersion, role }: Member): boolean {
  return failedVersion !== null || (role.kind === "live" && role.handOver !== null);
}
