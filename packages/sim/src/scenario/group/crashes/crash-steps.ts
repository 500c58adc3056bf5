import type { GroupStage } from "../group-stage.ts";
import type { MemberProcess } from "../member-process.ts";

/** Something that a group does, in which somebody is to die. */
export interface CrashStep {
  /** What is done, and who dies. */
  readonly name: string;
  /** Whether segments have to be given up for it, so that there must be much to store. */
  readonly isBulky?: boolean;
  readonly hasTransactions?: boolean;
  /** Brings the group to where the step follows; the producers are started before. */
  readonly prepare?: (stage: GroupStage) => Promise<boolean>;
  /** Who does it; undefined while it is not under way. Asked after each event. */
  readonly doer: (stage: GroupStage) => MemberProcess | undefined;
  /** Whether it is over. `committed`: what its doer knew to be committed when it began. */
  readonly isOver: (stage: GroupStage, doer: MemberProcess, committed: number) => boolean;
}

const firstSegment = `${"0".repeat(16)}.journal`;
const newSnapshot = "snapshot.temporary";

/** Of several writes: a batch has 512 bytes at least. */
const commitBytes = 16_384;

/** Virtual ms for which a member is away that somebody has to do without. */
const awayMs = 3_000;

/** Virtual ms for which one is away who is just missed. */
const shortMs = 600;

/** All steps. */
export const crashSteps: readonly CrashStep[] = [
  {
    name: "commit, the live dies",
    hasTransactions: true,
    prepare: (stage) => stage.reach("something is sent", () => appliedCount(stage) > 0),
    doer: (stage) => (isCommitting(stage) ? live(stage) : undefined),
    isOver: (_, doer, committed) => hasCommitted(doer, committed + commitBytes),
  },
  {
    name: "commit, a backup dies",
    hasTransactions: true,
    prepare: (stage) => stage.reach("something is sent", () => appliedCount(stage) > 0),
    doer: (stage) => (isCommitting(stage) ? backups(stage)[0] : undefined),
    isOver: (_, doer, committed) => hasCommitted(doer, committed + commitBytes),
  },
  {
    name: "shrink, the live dies",
    prepare: (stage) => loseBackup(stage),
    doer: (stage) => (roleOf(live(stage))?.peers.length === 1 ? live(stage) : undefined),
    isOver: (stage, doer, committed) =>
      inSyncCount(stage, doer) === 2 && hasCommitted(doer, committed + 1),
  },
  {
    name: "expand, the live dies",
    prepare: (stage) => shrink(stage),
    doer: (stage) => (roleOf(live(stage))?.peers.length === 2 ? live(stage) : undefined),
    isOver: (stage, doer, committed) =>
      inSyncCount(stage, doer) === 3 && hasCommitted(doer, committed + 1),
  },
  {
    name: "expand, who joins dies",
    prepare: (stage) => shrink(stage),
    doer: (stage) => backups(stage).find((one) => isFollowing(one) && !isInSync(stage, one)),
    isOver: (stage, doer) => inSyncCount(stage, doer) === 3,
  },
  {
    name: "promote, the candidate dies",
    prepare: (stage) => loseLive(stage),
    doer: ({ members }) => members.find((one) => kindOf(one) === "candidate"),
    isOver: (_, doer, committed) =>
      doer.broker?.mayDispatch === true && hasCommitted(doer, committed + 1),
  },
  {
    name: "hand over, the live dies",
    prepare: (stage) => handOver(stage),
    doer: ({ members }) => members.find((one) => roleOf(one)?.handOver),
    isOver: (_, doer) => isFollowing(doer),
  },
  {
    name: "hand over, the successor dies",
    prepare: (stage) => handOver(stage),
    doer: ({ members }) =>
      members.find(({ broker }) => broker?.member?.wish || broker?.status.role === "candidate"),
    isOver: (_, doer, committed) =>
      doer.broker?.mayDispatch === true && hasCommitted(doer, committed + 1),
  },
  {
    name: "truncate, who is cut dies",
    prepare: (stage) => forkLive(stage),
    doer: ({ members }) => members.find((one) => followingOf(one) === "truncating"),
    isOver: (stage, doer) => isInSync(stage, doer) && inSyncCount(stage, doer) === 3,
  },
  {
    name: "truncate, the live dies",
    prepare: (stage) => forkLive(stage),
    doer: (stage) =>
      stage.members.some((one) => followingOf(one) === "truncating") ? live(stage) : undefined,
    isOver: (stage) => stage.members.every((one) => isInSync(stage, one)),
  },
  {
    name: "snapshot, the live dies",
    isBulky: true,
    doer: (stage) => (has(live(stage), newSnapshot) ? live(stage) : undefined),
    isOver: (_, doer) => !has(doer, newSnapshot),
  },
  {
    name: "snapshot, a backup dies",
    isBulky: true,
    doer: (stage) => backups(stage).find((one) => has(one, newSnapshot)),
    isOver: (_, doer) => !has(doer, newSnapshot),
  },
  {
    name: "segments given up, the live dies",
    isBulky: true,
    prepare: (stage) => stage.reach("a second segment", () => hasSegments(live(stage), 2)),
    doer: (stage) => (has(live(stage), newSnapshot) ? live(stage) : undefined),
    isOver: (_, doer) => !has(doer, firstSegment),
  },
  {
    name: "segments given up, a backup dies",
    isBulky: true,
    prepare: (stage) => giveUpSegments(stage),
    doer: (stage) => backups(stage).find((one) => has(one, firstSegment)),
    isOver: (_, doer) => !has(doer, firstSegment),
  },
  {
    name: "fill, who is filled dies",
    isBulky: true,
    prepare: (stage) => loseDisk(stage),
    doer: ({ members }) => members.find((one) => isFilling(one)),
    isOver: (stage, doer) => isInSync(stage, doer) && inSyncCount(stage, doer) === 3,
  },
  {
    name: "fill, the live dies",
    isBulky: true,
    prepare: (stage) => loseDisk(stage),
    doer: (stage) => (stage.members.some((one) => isFilling(one)) ? live(stage) : undefined),
    isOver: (stage) => stage.members.every((one) => isInSync(stage, one)),
  },
];

// What brings a group there.

async function loseBackup(stage: GroupStage, forMs = awayMs): Promise<boolean> {
  backups(stage).at(-1)?.crash({ power: false, awayMs: forMs });
  return true;
}

async function shrink(stage: GroupStage): Promise<boolean> {
  await loseBackup(stage, shortMs);
  return stage.reach("one is left out", () => stage.node()?.inSync.length === 2);
}

async function loseLive(stage: GroupStage): Promise<boolean> {
  live(stage)?.crash({ power: false, awayMs });
  return true;
}

async function handOver(stage: GroupStage): Promise<boolean> {
  const [to] = backups(stage);
  if (to !== undefined) live(stage)?.broker?.handOver(to.name);
  return true;
}

/** The live is cut off from all but the clients, and writes on, until another one leads. */
async function forkLive(stage: GroupStage): Promise<boolean> {
  const { network, members, servers } = stage;
  const fork = live(stage);
  if (fork === undefined) return false;
  const others = members.flatMap(({ name }) => (name === fork.name ? [] : [name]));
  const hosts = servers.addresses.map((address) => address.split(":")[0] ?? "");
  for (const other of [...others, ...hosts]) network.separate(fork.name, other, awayMs);
  return true;
}

function giveUpSegments(stage: GroupStage): Promise<boolean> {
  return stage.reach(
    "the live gives its first segment up",
    () => live(stage) !== undefined && !has(live(stage), firstSegment),
  );
}

async function loseDisk(stage: GroupStage): Promise<boolean> {
  if (!(await giveUpSegments(stage))) return false;
  backups(stage).at(-1)?.loseDisk();
  return true;
}

// What can be seen of it.

type Live = Extract<ReturnType<typeof roleKindOf>, { readonly kind: "live" }>;

function live({ members }: GroupStage): MemberProcess | undefined {
  return members.find((one) => kindOf(one) === "live");
}

function backups({ members }: GroupStage): readonly MemberProcess[] {
  return members.filter((one) => kindOf(one) === "backup");
}

function roleKindOf(process: MemberProcess | undefined) {
  return process?.broker?.member?.role;
}

function kindOf(process: MemberProcess): string | undefined {
  return roleKindOf(process)?.kind;
}

function roleOf(process: MemberProcess | undefined): Live | undefined {
  const role = roleKindOf(process);
  return role?.kind === "live" ? role : undefined;
}

function followingOf(process: MemberProcess): string | undefined {
  const role = roleKindOf(process);
  return role?.kind === "backup" ? role.following.kind : undefined;
}

function isFollowing(process: MemberProcess): boolean {
  const following = followingOf(process);
  return following === "greeted" || following === "truncating" || following === "aligned";
}

function isFilling({ broker }: MemberProcess): boolean {
  return broker?.status.role === "filling";
}

function isInSync({ node }: GroupStage, { name, broker }: MemberProcess): boolean {
  const incarnation = broker?.member?.self.incarnation;
  return node()?.inSync.some((one) => one.id === name && one.incarnation === incarnation) === true;
}

/** As ZooKeeper has it, and as this member knows it. */
function inSyncCount({ node }: GroupStage, { broker }: MemberProcess): number {
  const count = node()?.inSync.length ?? 0;
  return count === broker?.member?.known?.state.inSync.length ? count : 0;
}

/** Whether the live has written what is not committed. */
function isCommitting(stage: GroupStage): boolean {
  const { member, log } = live(stage)?.broker ?? {};
  return log !== undefined && log.end !== member?.commitPosition;
}

function hasCommitted({ broker }: MemberProcess, position: number): boolean {
  return (broker?.member?.commitPosition ?? 0) >= position;
}

function appliedCount({ oracle }: GroupStage): number {
  return oracle.counts.applied;
}

function has(process: MemberProcess | undefined, file: string): boolean {
  return process?.disk.names().includes(file) === true;
}

function hasSegments(process: MemberProcess | undefined, count: number): boolean {
  const names = process?.disk.names().filter((name) => name.endsWith(".journal")) ?? [];
  return names.length >= count;
}
