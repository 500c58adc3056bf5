import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ByteReader, ByteWriter } from "@everhold/wire";
import { MemoryLog } from "./memory-log.test-support.ts";
import { StateTables } from "./state-tables.ts";
import { markWithoutFirstEntry, transactionEntry } from "./transaction-records.ts";
import { restoreTransaction } from "./transaction-snapshot.ts";

const id = new Uint8Array(16).fill(7);

/** The last part of a prepared transaction with one mark, as it was written before marks had a first sequence. */
function olderPart(): Uint8Array {
  const writer = new ByteWriter();
  const xid = {
    formatId: 1,
    globalTransactionId: new Uint8Array([1]),
    branchQualifier: new Uint8Array([2]),
  };
  const counts = { messageCount: 0, queueCount: 0, acknowledgedBefore: 0 };
  transactionEntry.write(writer, { id: 100, createdMs: 5, isPrepared: true, xid, ...counts }, 0);
  writer.u8(1);
  writer.u32(0);
  writer.u32(1);
  markWithoutFirstEntry.write(writer, { id, epoch: 3, last: 9 }, 0);
  writer.u32(0);
  writer.u32(0);
  return writer.toBytes();
}

describe("a transaction in a snapshot", () => {
  it("is read in its older form, of whose marks only the last sequence is known", () => {
    const bytes = olderPart();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const reader = new ByteReader(undefined, { strict: true }).reset(bytes, view, 0, bytes.length);
    const { transactions } = new StateTables(new MemoryLog());
    restoreTransaction(transactions, reader, 1_000);
    bytes.fill(0);
    const [restored] = transactions.prepared();
    assert.equal(reader.offset, bytes.length);
    assert.deepEqual(restored?.marks.all, [{ id, epoch: 3, first: 9, last: 9 }]);
  });
});
