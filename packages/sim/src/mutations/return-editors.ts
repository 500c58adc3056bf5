import {
  ByteReader,
  ByteWriter,
  channelIdAt,
  commitAnswers,
  decodePacket,
  encodePacket,
  frameHeaderBytes,
  outcomes,
  packetIdAt,
  packets,
  resumeResults,
} from "@everhold/wire";
import type { Editor, Frame } from "./editing-network.ts";

/** The version in which our clients speak. */
const version = 136;

/** Where an answer is, behind its correlation id, and the code that goes with it. */
const answerAt = frameHeaderBytes + 8;
const codeAt = answerAt + 1;
/** Where RESUMED has what became of the settlements, and how many there are. */
const resultCountAt = codeAt + 4;
const resultsAt = resultCountAt + 4;

/** The code of a transaction that was rolled back. */
const rolledBackCode = 111;

/**
 * An editor after which a commit that was in doubt can come late: it has been decided that it took no effect, and
 * it ends the transaction that its session has begun since, just before that is rolled back.
 */
export function lateCommitEditor(): Editor {
  const late = new Set<number>();
  return {
    rearrange: (frames) => frames,
    edit({ bytes, view }) {
      const channel = channelIdAt(view, 0);
      const id = packetIdAt(view, 0);
      if (id === packets.resume.id) {
        const body = new ByteReader(bytes.subarray(frameHeaderBytes));
        const { oldSession, hasCommit } = decodePacket(packets.resume, body, version);
        // A first life has nothing in doubt.
        if (hasCommit && oldSession !== "") late.add(channel);
      }
      if (id !== packets.rollback.id || !late.delete(channel)) return bytes;
      const writer = new ByteWriter();
      encodePacket(writer, packets.commit, channel, { correlationId: null }, version);
      return writer.toBytes();
    },
  };
}

/** An editor after which clients are told the contrary of what became of a commit or a send. */
export function wrongOutcomeEditor(): Editor {
  return answerEditor((view, id) => {
    const { applied, refused } = id === packets.resumed.id ? commitAnswers : outcomes;
    const answer = view.getUint8(answerAt);
    if (answer !== applied && answer !== refused) return;
    view.setUint8(answerAt, answer === applied ? refused : applied);
    view.setInt32(codeAt, answer === applied ? rolledBackCode : 0);
  });
}

/** An editor after which clients are told that each settlement in doubt took effect. */
export function wrongSettlementEditor(): Editor {
  return answerEditor((view, id) => {
    if (id !== packets.resumed.id) return;
    const end = resultsAt + view.getInt32(resultCountAt);
    for (let at = resultsAt; at < end; at += 1) {
      const isHeld = view.getUint8(at) === resumeResults.held;
      if (!isHeld) view.setUint8(at, resumeResults.applied);
    }
  });
}

/** An editor that changes RESUMED and OUTCOME on their way to the client. */
function answerEditor(change: (view: DataView, id: number) => void): Editor {
  const changed = ({ view }: Frame): void => {
    const id = packetIdAt(view, 0);
    if (id === packets.resumed.id || id === packets.outcome.id) change(view, id);
  };
  return {
    edit: ({ bytes }) => bytes,
    rearrange(frames) {
      for (const frame of frames) changed(frame);
      return frames;
    },
  };
}
