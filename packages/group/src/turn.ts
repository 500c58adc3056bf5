import type { Frame } from "./frames.ts";
import type { Effect, Following, Member, MemberLog, Role, StopReason } from "./member.ts";

/** One step under way: the member as it has become so far, and what it wants done. */
export class Turn {
  member: Member;
  readonly effects: Effect[] = [];
  readonly log: MemberLog;

  constructor(member: Member, log: MemberLog) {
    this.member = member;
    this.log = log;
  }

  change(change: Partial<Member>): void {
    this.member = { ...this.member, ...change };
  }

  become(role: Role): void {
    this.change({ role });
  }

  follow(following: Following): void {
    this.become({ kind: "backup", following });
  }

  want(effect: Effect): void {
    this.effects.push(effect);
  }

  send(link: number, frame: Frame): void {
    this.want({ kind: "send", link, frame });
  }

  /** Reads the node: what is known afterwards was true after this call, not before. */
  read(): void {
    if (this.member.reading !== "no") return this.change({ reading: "again" });
    this.change({ reading: "once" });
    this.want({ kind: "read" });
  }

  /** A read was answered. */
  settleRead(): void {
    const { reading } = this.member;
    this.change({ reading: "no" });
    if (reading === "again") this.read();
  }

  /** Ends a link: nothing that still comes from it is heard. */
  disconnect(link: number): void {
    if (!this.member.links.some((one) => one.link === link)) return;
    this.forget(link);
    this.want({ kind: "disconnect", link });
  }

  /** A link is gone, and with it what was known of who is at its end. */
  forget(link: number): void {
    const { links, role } = this.member;
    this.change({ links: links.filter((one) => one.link !== link) });
    if (role.kind === "live") {
      const { handOver } = role;
      const isInvited = handOver?.invited === link;
      this.become({
        ...role,
        peers: role.peers.filter((peer) => peer.link !== link),
        handOver: isInvited ? { to: handOver.to, invited: null } : handOver,
      });
    }
    if (role.kind !== "backup") return;
    const { following } = role;
    // A cut goes on without its live: it ends the same way.
    if (following.kind === "nobody" || following.kind === "truncating") return;
    if (following.link === link) this.follow({ kind: "nobody" });
  }

  /** Leads no more, and follows nobody yet. Every link to a backup ends: a new reign begins with new greetings. */
  stepDown(): void {
    const { role } = this.member;
    if (role.kind !== "live") return;
    this.want({ kind: "step-down" });
    for (const { link } of role.peers) this.disconnect(link);
    this.follow({ kind: "nobody" });
  }

  stop(reason: StopReason): void {
    this.stepDown();
    this.change({ wish: null });
    this.become({ kind: "stopped", reason });
    this.want({ kind: "stop", reason });
  }

  /** Moves the commit position on, never back. */
  commit(position: number): void {
    if (position <= this.member.commitPosition) return;
    this.change({ commitPosition: position });
    this.want({ kind: "commit", position });
  }
}
