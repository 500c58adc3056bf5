import { setTimeout as pause } from "node:timers/promises";

import { EverholdError } from "@everhold/base";
import type { Connection, ConnectOptions } from "@everhold/client";

import { exchange, queuesOf, textOf } from "./exchange.ts";
import { FrameProxy, cutText, isSilent, type Cut, type Way } from "./frame-proxy.ts";
import { broken } from "./judge-story.ts";
import { Story, type Told } from "./story.ts";

/** A broker, and how to connect to it. */
export interface CutTarget {
  readonly port: number;
  readonly connect: (url: string, options: ConnectOptions) => Promise<Connection>;
}

/** What came of one exchange. */
export interface CutRun {
  readonly cuts: readonly (Cut | undefined)[];
  /** Promises that were broken; nothing when all is well. */
  readonly found: readonly string[];
  /** Calls that failed, with what they said. */
  readonly troubles: readonly string[];
  readonly cutCount: number;
  /** Frames that passed the first connection, and the one after the first break. */
  readonly frames: readonly Readonly<Record<Way, number>>[];
}

/** Behind a silence the broker misses a connection after so many ms. */
const silenceTtlMs = 5000;

/** A connection that comes back at once, and whose sessions are kept longer than any machine takes for that. */
export const options = {
  reconnect: { initialAttempts: 5000, initialDelay: 1, maxDelay: 20 },
  heartbeat: { period: 1000, ttl: 30_000 },
  minLargeMessageSize: 4096,
} as const satisfies ConnectOptions;

/** How long an exchange may take before its calls count as calls that never settle, in ms. */
const exchangeMs = 120_000;

/** How long a broker may keep something for somebody who is gone, in ms. */
const keptMs = 120_000;

/** No reply is lost with a connection alone, in ms far beyond what a slow machine takes. */
const replyMs = 20_000;

let exchangeCount = 0;

/** Has one exchange through connections that break as `cuts` says, looks for what is left, and judges. */
export async function cutRun(
  target: CutTarget,
  cuts: readonly (Cut | undefined)[],
  checking: Connection,
): Promise<CutRun> {
  exchangeCount += 1;
  const names = { prefix: `x${exchangeCount}`, replyMs };
  const proxy = await FrameProxy.start(target.port, { cuts });
  const story = new Story();
  let connection: Connection | undefined;
  try {
    const findsSilence = cuts.some(isSilent);
    const heartbeat = { ...options.heartbeat, ...(findsSilence ? { ttl: silenceTtlMs } : {}) };
    connection = await target.connect(proxy.url, { ...options, heartbeat });
    const isOver = await settlesInTime(exchange(connection, names, story));
    if (!isOver) await connection.close();
    const left = await leftIn(checking, queuesOf(names));
    const found = broken(story.lines, left);
    if (!isOver) found.push(`unsettled after ${JSON.stringify(story.lines.at(-1))}`);
    return {
      cuts,
      found: found.map((text) => `${cuts.map(textOfCut).join(", ")}: ${text}`),
      troubles: story.troubles,
      cutCount: proxy.cutCount,
      frames: proxy.passed.map((passed) => ({ out: passed.out.length, in: passed.in.length })),
    };
  } finally {
    await connection?.close();
    proxy.stop();
  }
}

/** Has `work` done for each of `items`, some at the same time. */
export async function forEachOf<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Every cut of some manners, of an exchange of so many frames. */
export function everyCut(
  frames: Readonly<Record<Way, number>>,
  manners: readonly Cut["manner"][],
): Cut[] {
  const cuts: Cut[] = [];
  for (const way of ["out", "in"] as const) {
    for (const manner of manners) {
      const first = manner === "after" ? 1 : 0;
      for (let count = first; count < frames[way] + first; count += 1) {
        cuts.push({ way, frames: count, manner });
      }
    }
  }
  return cuts;
}

function exceptDoubt(error: unknown): void {
  if (!EverholdError.is(error) || error.outcome !== "unknown") throw error;
}

function textOfCut(cut: Cut | undefined): string {
  return cut === undefined ? "whole" : cutText(cut);
}

export async function settlesInTime(work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), exchangeMs);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What the queues hold when nobody else holds anything of them any more.
 *
 * @throws Error when somebody holds something for ever
 */
export async function leftIn(checking: Connection, queues: readonly string[]): Promise<Told[]> {
  const left: Told[] = [];
  const deadlineMs = performance.now() + keptMs;
  for (const queue of queues) {
    for (let round = 0; ; round += 1) {
      const info = await checking.queueInfo(queue);
      if (info === undefined || info.messageCount === 0) break;
      // What a session holds whose client is gone comes when the broker misses that client.
      if (round > 0) await pause(50);
      if (performance.now() > deadlineMs) {
        throw new Error(`${queue} has ${info.messageCount} messages that nobody gets`);
      }
      const consumer = checking.consumer(queue);
      for (;;) {
        const message = await consumer.receive({ timeout: 0 });
        if (message === null) break;
        left.push({
          kind: "delivery",
          text: textOf(message),
          isRedelivered: message.redelivered,
        });
        // Its broker may be killed just now. One in doubt does not come again, or it would have been settled then.
        await message.ack().catch(exceptDoubt);
      }
      await consumer.close();
    }
  }
  return left;
}
