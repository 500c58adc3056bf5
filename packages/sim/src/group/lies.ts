import type { Frame, Input, Member, MemberLog } from "@everhold/group";
import type { Mistake } from "./mistakes.ts";

/** What a member decides by in one step. */
export interface Told {
  readonly member: Member;
  readonly input: Input;
  readonly log: MemberLog;
}

/** What a member is told instead of the truth where a mistake is made. */
export function toldWith(mistake: Mistake | undefined, told: Told): Told {
  const lie = mistake === undefined ? undefined : lies[mistake]?.tell;
  return lie === undefined ? told : lie(told);
}

/** What a member remembers of a step instead of what it should. */
export function rememberedWith(mistake: Mistake | undefined, told: Told, next: Member): Member {
  const lie = mistake === undefined ? undefined : lies[mistake]?.remember;
  return lie === undefined ? next : lie(next, told);
}

interface Lie {
  readonly tell?: (told: Told) => Told;
  readonly remember?: (next: Member, told: Told) => Member;
}

const lies: { readonly [Name in Mistake]?: Lie } = {
  "count-unsynced": {
    tell: (told) =>
      told.member.role.kind === "live"
        ? { ...told, log: { ...told.log, durable: told.log.end } }
        : told,
  },
  "forget-asked": { remember: (next) => withoutAsked(next) },
  "old-read-settles": {
    remember: (next, { input }) => (input.kind === "state" ? withoutAsked(next) : next),
  },
  "believe-old-read": {
    tell({ member, input, log }) {
      const { known } = member;
      if (input.kind !== "state" || known === null) return { member, input, log };
      const version = Math.min(known.version, input.known.version - 1);
      return { member: { ...member, known: { ...known, version } }, input, log };
    },
  },
  "join-by-commit": {
    tell: (told) => withRole(told, "live", (role) => ({ ...role, epochStart: -1 })),
    remember: (next, { member }) => {
      const epochStart = member.role.kind === "live" ? member.role.epochStart : null;
      if (next.role.kind !== "live" || epochStart === null) return next;
      return { ...next, role: { ...next.role, epochStart } };
    },
  },
  "stand-out-of-sync": {
    tell({ member, input, log }) {
      if (input.kind !== "state" || member.wish === null) return { member, input, log };
      const { created, version } = input.known;
      const wish = { ...member.wish, unclean: { created, version } };
      return { member: { ...member, wish }, input, log };
    },
  },
  "reuse-epoch": {
    tell({ member, input, log }) {
      if (input.kind !== "state" || member.wish === null) return { member, input, log };
      const { epoch } = input.known.state;
      return { member: { ...member, seenEpoch: epoch, fencedEpoch: epoch }, input, log };
    },
    remember: (next, { member }) => ({
      ...next,
      fencedEpoch: Math.max(next.fencedEpoch, member.fencedEpoch),
    }),
  },
  "ignore-minimum": {
    tell({ member, input, log }) {
      const { known } = member;
      if (known === null) return { member, input, log };
      const state = { ...known.state, minInSync: 1 };
      return { member: { ...member, known: { ...known, state } }, input, log };
    },
  },
  "append-anywhere": {
    tell: (told) =>
      withFrame(told, "append", (frame) => {
        const { end } = told.log;
        const chain = told.log.chainAt(end) ?? "";
        return { ...frame, position: end, end: end + 1, chain };
      }),
  },
  "no-cut": {
    tell: (told) =>
      withFrame(told, "align", (frame) => {
        const { end } = told.log;
        return { ...frame, position: end, chain: told.log.chainAt(end) ?? "" };
      }),
  },
  "align-after-cut": {
    tell(told) {
      const { known, links } = told.member;
      const link = links.findLast(({ outgoing }) => outgoing)?.link;
      if (told.input.kind !== "truncated" || known === null || link === undefined) return told;
      const { epoch } = known.state;
      return withRole(told, "backup", (role) => ({
        ...role,
        following: { kind: "truncating", link, epoch },
      }));
    },
  },
  "no-step-down": {
    tell(told) {
      const { input, member } = told;
      const isOther = input.kind === "state" && input.known.state.live?.id !== member.self.id;
      if (member.role.kind !== "live" || !isOther) return told;
      return { ...told, input: { kind: "durable" } };
    },
  },
  "ignore-higher-epoch": {
    tell: (told) =>
      withFrame(told, "hello", (frame) => {
        const { role } = told.member;
        return role.kind === "live" && frame.epoch > role.epoch
          ? { ...frame, epoch: role.epoch }
          : frame;
      }),
  },
  "trust-name": {
    tell: (told) =>
      withFrame(told, "hello", (frame) => {
        const inSync = told.member.known?.state.inSync ?? [];
        return { ...frame, ...inSync.find(({ id }) => id === frame.id) };
      }),
  },
  "invite-once": {
    tell: (told) => (told.input.kind === "retry" ? { ...told, input: { kind: "durable" } } : told),
    remember: (next, { member }) => {
      const before = member.role.kind === "live" ? member.role.handOver : null;
      if (next.role.kind !== "live" || next.role.handOver === null || before === null) return next;
      const invited = next.role.handOver.invited ?? before.invited;
      return { ...next, role: { ...next.role, handOver: { ...before, invited } } };
    },
  },
  "no-retry": {
    tell: (told) => (told.input.kind === "retry" ? { ...told, input: { kind: "durable" } } : told),
  },
};

function withoutAsked(member: Member): Member {
  return member.role.kind === "live" ? { ...member, role: { ...member.role, asked: [] } } : member;
}

function withRole<Kind extends Member["role"]["kind"]>(
  told: Told,
  kind: Kind,
  change: (role: Extract<Member["role"], { kind: Kind }>) => Member["role"],
): Told {
  const { role } = told.member;
  if (!isOfKind(role, kind)) return told;
  return { ...told, member: { ...told.member, role: change(role) } };
}

function withFrame<Kind extends Frame["kind"]>(
  told: Told,
  kind: Kind,
  change: (frame: Extract<Frame, { kind: Kind }>) => Frame,
): Told {
  const { input } = told;
  if (input.kind !== "frame" || !isOfKind(input.frame, kind)) return told;
  return { ...told, input: { ...input, frame: change(input.frame) } };
}

function isOfKind<Value extends { readonly kind: string }, Kind extends Value["kind"]>(
  value: Value,
  kind: Kind,
): value is Extract<Value, { kind: Kind }> {
  return value.kind === kind;
}
