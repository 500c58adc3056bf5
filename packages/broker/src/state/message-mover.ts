import { assert } from "@everhold/base";
import { isRecorded } from "./message-changes.ts";
import { createNewRow, type NewRow } from "./new-row.ts";
import { originText } from "./origins.ts";
import type { QueueState } from "./queue-state.ts";
import type { RecordAppender } from "./record-appender.ts";
import {
  moveReasons,
  recordTypes,
  relocateGroupedRecord,
  relocateRecord,
  type MoveReason,
} from "./records.ts";
import { createRowView } from "./row-bodies.ts";
import { laneFor } from "./row-key.ts";
import { stateLimits } from "./state-limits.ts";
import type { StateTables } from "./state-tables.ts";

/** What is fixed in a RELOCATE_GROUPED record, the longer of both, before the origin's name and the list of targets. */
const moveFixedBytes = 53;
const moveTargetBytes = 12;

/** Hands messages from one queue to others without copying their bodies. */
export class MessageMover {
  readonly #records: RecordAppender;
  readonly #tables: StateTables;
  readonly #row: NewRow = createNewRow();
  readonly #view = createRowView();

  constructor(records: RecordAppender, tables: StateTables) {
    this.#records = records;
    this.#tables = tables;
  }

  /** Payload bytes of the record that `move` appends at most. */
  recordBytes(queue: QueueState, targetCount: number, cause = ""): number {
    const origin = originText(queue.definition.name, cause);
    return moveFixedBytes + origin.length * 3 + targetCount * moveTargetBytes;
  }

  /**
   * Moves a message to other queues without copying it; none drops it. Its deliveries are counted anew.
   * After too many attempts or expiry (`"attempts"`, `"expired"`) it expires no more, whatever its own
   * header says, and waits for no time; else it stays scheduled. It says where it came from, but for
   * `"other"`, and why, which is at most `stateLimits.causeCharsMax` long. What is in memory only stays
   * so, in whatever queue.
   */
  move(
    queue: QueueState,
    key: number,
    targets: readonly QueueState[],
    reason: MoveReason,
    cause = "",
  ): number {
    assert(cause.length <= stateLimits.causeCharsMax, "a cause is within its limit");
    const view = this.#view;
    const isThere = queue.read(key, view);
    assert(isThere, "a message that is moved is there");
    const row = this.#row;
    row.position = view.position;
    row.messageOffset = view.messageOffset;
    row.messageLength = view.messageLength;
    const isEnd = reason === "attempts" || reason === "expired";
    row.expiryUnits = isEnd ? 0 : this.#tables.expiry.unitsOf(view.expirationMs);
    row.dueMs = isEnd ? 0 : view.dueMs;
    row.origin = originText(reason === "other" ? "" : queue.definition.name, cause);
    row.group = queue.groupOf(key);
    const lane = laneFor(view.priority, view.isInJournal);
    const stored = view.isInJournal ? targets.filter((target) => target.isStored) : [];
    let position = -1;
    if (isRecorded(queue, key) || stored.length > 0) {
      const moved = {
        key,
        reason: moveReasons.indexOf(reason),
        position: view.isInJournal ? view.position : 0,
        messageOffset: view.messageOffset,
        messageLength: view.messageLength,
        expirationMs: isEnd ? 0 : view.expirationMs,
        dueMs: row.dueMs,
        origin: row.origin,
      };
      position = this.#appendMove(queue, moved, row.group, stored, lane);
    }
    for (const target of targets) {
      target.addRow(target.nextKey(lane), row);
      if (position >= 0) target.lanes.holdLast(lane, position, this.#records.log.commitPosition);
    }
    const moved = isRecorded(queue, key) ? this.#tables.moved : this.#tables.movedInMemory;
    moved.note(queue.id, view.messageId);
    queue.removeRow(key);
    return position;
  }

  #appendMove(
    queue: QueueState,
    moved: Omit<ReturnType<typeof relocateRecord.read>, "targets">,
    group: number,
    stored: readonly QueueState[],
    lane: number,
  ): number {
    const targets = stored.map((target) => ({ queueId: target.id, key: target.nextKey(lane) }));
    if (group === 0) {
      return this.#records.append(recordTypes.relocate, queue.id, relocateRecord, {
        ...moved,
        targets,
      });
    }
    return this.#records.append(recordTypes.relocateGrouped, queue.id, relocateGroupedRecord, {
      ...moved,
      group,
      targets,
    });
  }
}
