import type { Frame } from "./frames.ts";
import type { Effect, Member, MemberLog, Role, StopReason } from "./member.ts";

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

  want(effect: Effect): void {
    this.effects.push(effect);
  }

  send(to: string, frame: Frame): void {
    this.want({ kind: "send", to, frame });
  }

  /** Reads the node, unless that is under way. */
  read(): void {
    if (this.member.reading) return;
    this.change({ reading: true });
    this.want({ kind: "read" });
  }

  stop(reason: StopReason): void {
    if (this.member.role.kind === "live") this.want({ kind: "step-down" });
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
