import { MessageScan, packets, scanMessage } from "@everhold/wire";

import { channelOf, packetNameOf, type Conversation } from "./conversation.ts";

/** Sent by the clock, or wherever one of the sides happens to be. */
const timed = new Set(["PING", "PACKETS_CONFIRMED"]);

/** How often these are sent depends on what has arrived by then; that they are sent does not. */
const ahead = new Set([
  "SESS_RECEIVE_MSG",
  "SESS_RECEIVE_LARGE_MSG",
  "SESS_RECEIVE_CONTINUATION",
  "SESS_PRODUCER_REQUEST_CREDITS",
  "SESS_PRODUCER_CREDITS",
  "SESS_FLOWTOKEN",
  "SESS_FORCE_CONSUMER_DELIVERY",
]);

/** A client that knows no version of the broker yet uses the older form; which it is, is a race. */
const newerForms = new Map([["CREATESESSION_V2", "CREATESESSION"]]);

/**
 * The order of packets, where it means something: for each connection and channel what the client sent and
 * what it was answered, each in order; and which packets about credit and deliveries there were, for a
 * broker delivers ahead of what the client takes.
 */
export function shapeOf({ events }: Conversation): Record<string, string[]> {
  const shape: Record<string, string[]> = {};
  for (const { connection, from, frame } of events) {
    if (frame === undefined) continue;
    const name = packetNameOf(frame);
    if (timed.has(name) || isMarker(frame)) continue;
    const key = `${connection} channel ${channelOf(frame)} ${streamOf(from, name)}`;
    const names = (shape[key] ??= []);
    if (!ahead.has(name)) names.push(newerForms.get(name) ?? name);
    else if (!names.includes(name)) names.push(name);
  }
  for (const [key, names] of Object.entries(shape)) {
    if (key.endsWith("ahead")) names.sort();
    if (key.endsWith("answers")) dropLastAnswers(names, shape[key.replace(/answers$/, "client")]);
  }
  return shape;
}

/** A client that has closed its last session may close its connection before it is answered. */
function dropLastAnswers(answers: string[], requests: readonly string[] = []): void {
  if (requests.at(-1) !== "SESS_CLOSE") return;
  while (answers.at(-1) === "NULL_RESPONSE") answers.pop();
}

/** Whether this is the answer to a forced delivery, which a client asks for when nothing has come yet. */
function isMarker(frame: Uint8Array): boolean {
  if (frame[4] !== packets.receive.id) return false;
  const scan = new MessageScan();
  scanMessage(new DataView(frame.buffer, frame.byteOffset), 13, frame.length - 12, scan);
  return scan.forcedDeliverySequence >= 0;
}

function streamOf(from: "client" | "broker", name: string): string {
  if (ahead.has(name)) return "ahead";
  return from === "client" ? "client" : "answers";
}
