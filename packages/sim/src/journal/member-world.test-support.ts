import { assert } from "@everhold/base";
import {
  createReplicatedJournal,
  type JournalOptions,
  type ReplicatedJournal,
  type ReplicatedJournalListener,
  type RecoverySummary,
} from "@everhold/journal";
import { smallSizes, type JournalWorld } from "./journal-world.test-support.ts";
import { ModelState } from "./model-state.test-support.ts";

/** One process of a group's member: its journal, the state behind it, and what its listener was told. */
export class MemberProcess implements ReplicatedJournalListener {
  readonly world: JournalWorld;
  readonly journal: ReplicatedJournal;
  readonly state: ModelState;
  readonly commits: number[] = [];
  readonly failures: Error[] = [];
  durableCount = 0;
  leadingCount = 0;
  moreCount = 0;
  summary: RecoverySummary | undefined = undefined;

  constructor(world: JournalWorld, options: Partial<JournalOptions> = {}) {
    this.world = world;
    this.journal = createReplicatedJournal({
      ...smallSizes,
      groupId: new Uint8Array(16).fill(7),
      ...options,
      ports: options.ports ?? world.ports(),
    });
    this.state = new ModelState(this.journal);
  }

  async open(): Promise<RecoverySummary> {
    this.summary = await this.world.settle(this.journal.open(this.state, this));
    return this.summary;
  }

  /** Stands alone for an epoch and gets it, as the only one whose copy counts. */
  async lead(epoch: number): Promise<void> {
    await this.world.settle(this.journal.member.fence(epoch));
    this.journal.member.beginEpoch(epoch, false);
    await this.world.run();
    assert(this.state.recoveredCount === 1, "who leads has its whole state");
  }

  /** Lets happen what was begun. */
  async settle(): Promise<void> {
    await this.world.run();
  }

  /** Commits everything that is durable here. */
  async commitAll(): Promise<void> {
    this.journal.member.setCommitted(this.journal.member.log.durable);
    await this.world.run();
  }

  async close(): Promise<void> {
    await this.world.settle(this.journal.close());
  }

  onCommitted(commitPosition: number): void {
    this.commits.push(commitPosition);
  }

  onFailed(error: Error): void {
    this.failures.push(error);
  }

  onLeading(): void {
    this.leadingCount += 1;
  }

  onDurable(): void {
    this.durableCount += 1;
  }

  onMore(): void {
    this.moreCount += 1;
  }
}

/** Starts a member on a disk. */
export async function bootMember(
  world: JournalWorld,
  options: Partial<JournalOptions> = {},
): Promise<MemberProcess> {
  const member = new MemberProcess(world, options);
  await member.open();
  return member;
}

/** Ships what the backup lacks, and lets it be stored. */
export async function shipAll(live: MemberProcess, backup: MemberProcess): Promise<number> {
  let count = 0;
  for (;;) {
    const { end } = backup.journal.member.log;
    const piece = live.journal.member.pieceAt(end);
    if (piece === null) break;
    if (piece === "on disk") {
      await live.world.settle(live.journal.member.loadPiece(end));
      continue;
    }
    assert(backup.journal.member.log.chainAt(end) === piece.chain, "the backup is a beginning");
    backup.journal.member.append({ ...piece, bytes: piece.bytes.slice() });
    count += 1;
  }
  await backup.settle();
  return count;
}

/** The first place where the segments of two members differ before `end`; undefined where they are the same. */
export function firstDifference(
  one: JournalWorld,
  other: JournalWorld,
  end: number,
): string | undefined {
  const names = (world: JournalWorld): string[] =>
    world.disk.names().filter((name) => name.endsWith(".journal") && baseOf(name) < end);
  if (names(one).join() !== names(other).join()) {
    return `${names(one).join()} is not ${names(other).join()}`;
  }
  for (const name of names(one)) {
    const left = one.disk.content(name);
    const right = other.disk.content(name);
    const bytes = Math.min(end - baseOf(name), Math.max(left.length, right.length));
    for (let index = 0; index < bytes; index += 1) {
      if ((left[index] ?? 0) !== (right[index] ?? 0)) return `${name} at byte ${index}`;
    }
  }
  return undefined;
}

function baseOf(name: string): number {
  return Number.parseInt(name, 16);
}
