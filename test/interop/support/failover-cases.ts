/**
 * Exchanges over connections that break and with brokers that die, ours and Java's, on Everhold and on a pair of
 * Artemis: how many of them is said by who asks. What they come to is judged by the promises; how many calls ended in
 * doubt meanwhile is a figure.
 */
import assert from "node:assert/strict";

import {
  broken,
  cutRun,
  cutText,
  everyCut,
  forEachOf,
  FrameProxy,
  killRun,
  leftIn,
  ownExchanger,
  queuesOf,
  type Cut,
  type CutTarget,
  type Exchanger,
  type KillTarget,
  type Story,
  type Way,
} from "#failover";
import { connect, type Connection, type ConnectOptions } from "everhold";

import type { ArtemisPair } from "./artemis-pair.ts";
import type { EverholdBroker } from "./everhold-broker.ts";
import type { JavaExchanges } from "./java-exchanges.ts";
import { Tally } from "./tally.ts";

/** Lines about connections that are cut on purpose say nothing. */
const log = { error: ignore, warn: ignore, info: ignore, debug: ignore };
/** Exchanges at the same time. */
const atOnce = 8;

/** Which cuts of all are tried. */
export interface CutChoice {
  readonly manners: readonly Cut["manner"][];
  /** Every so many-th. */
  readonly step: number;
}

/** How a Java client is told to behave. */
export interface JavaManner {
  /** With a confirmation window it is attached again; without one its sessions are made anew. */
  readonly window: boolean;
}

/** Who is in the midst of something when a broker dies, besides the one who is at a frame. */
export interface KillWitnesses {
  /** How many of our clients, directly at the broker. */
  readonly own: number;
  /** Default: nobody. */
  readonly others?: readonly Exchanger[];
}

/** Connects as tests do: quietly. */
export function connectQuietly(url: string, options: ConnectOptions = {}): Promise<Connection> {
  return connect(url, { ...options, log });
}

/** Our client, at the frames that were chosen. */
export async function ownCuts(
  name: string,
  port: number,
  { manners, step }: CutChoice,
): Promise<void> {
  await using checking = await connectQuietly(`tcp://127.0.0.1:${port}`);
  const frames = await framesOf({ port, connect: connectQuietly }, checking);
  const cuts = everyCut(frames, manners)
    .filter((_, index) => index % step === 0)
    .filter((cut) => !isBeforeAll(cut));
  await ownRuns(
    name,
    port,
    cuts.map((cut) => [cut]),
    checking,
  );
}

/** Our client, whose return breaks as well: at every frame of it, after breaks here and there. */
export async function ownSecondCuts(
  name: string,
  port: number,
  { manners, step }: CutChoice,
  firstStep: number,
): Promise<void> {
  await using checking = await connectQuietly(`tcp://127.0.0.1:${port}`);
  const frames = await framesOf({ port, connect: connectQuietly }, checking);
  const firsts = everyCut(frames, ["before"]).filter((_, index) => index % firstStep === 0);
  // A return has 40 frames either way at most; what is cut behind it is one more break of the exchange.
  const seconds = everyCut({ out: 40, in: 40 }, manners).filter((_, index) => index % step === 0);
  const pairs = firsts.flatMap((first) => seconds.map((second) => [first, second]));
  await ownRuns(name, port, pairs, checking);
}

/** How many frames an exchange has that nobody disturbs, which is all well. */
async function framesOf(target: CutTarget, checking: Connection): Promise<Record<Way, number>> {
  const whole = await cutRun(target, [], checking);
  assert.deepEqual([whole.found, whole.troubles], [[], []]);
  const [frames] = whole.frames;
  assert.ok(frames !== undefined);
  return frames;
}

/** An exchange for each of these breaks. */
async function ownRuns(
  name: string,
  port: number,
  runs: readonly (readonly Cut[])[],
  checking: Connection,
): Promise<void> {
  const tally = new Tally({ name, runCount: runs.length });
  const target: CutTarget = { port, connect: tally.outages.of(connectQuietly) };
  await forEachOf(runs, atOnce, async (cuts) => {
    await tally.count(cuts.map(cutText).join(", "), async () => {
      const run = await cutRun(target, cuts, checking);
      tally.happened({ cuts: run.cutCount });
      return run;
    });
  });
  tally.end();
}

/** An unmodified Java client, at the frames that were chosen. */
export async function javaCuts(
  name: string,
  port: number,
  java: JavaExchanges,
  { window }: JavaManner,
  { manners, step }: CutChoice,
): Promise<void> {
  await using checking = await connectQuietly(`tcp://127.0.0.1:${port}`);
  let count = 0;
  const run = async (
    cuts: readonly Cut[],
  ): Promise<{ proxy: FrameProxy; found: string[]; troubles: string[] }> => {
    count += 1;
    const prefix = `${name.replaceAll(/\W/g, "")}${window ? "w" : "n"}${count}`;
    const proxy = await FrameProxy.start(port, { cuts });
    try {
      const url = `${proxy.url}?${javaParameters(window)}`;
      const story = await java.run({ url, prefix, setsIds: !window });
      const left = await leftIn(checking, queuesOf({ prefix }));
      const found = broken(story.lines, left);
      if (window) found.push(...seenBy(story));
      const said = `${prefix}, ${cuts.map(cutText).join()}`;
      return {
        proxy,
        found: found.map((text) => `${said}: ${text}`),
        troubles: story.troubles,
      };
    } finally {
      proxy.stop();
    }
  };
  const whole = await run([]);
  const [passed] = whole.proxy.passed;
  assert.ok(passed !== undefined);
  assert.deepEqual([whole.found, whole.troubles], [[], []]);
  const frames = { out: passed.out.length, in: passed.in.length };
  const cuts = everyCut(frames, manners)
    .filter((_, index) => index % step === 0)
    .filter((cut) => !isBeforeAll(cut));
  const kind = window ? "attached again" : "made anew";
  const tally = new Tally({ name: `${name}, ${kind}: cuts`, runCount: cuts.length });
  await forEachOf(cuts, atOnce, async (cut) => {
    await tally.count(cutText(cut), async () => {
      const result = await run([cut]);
      tally.happened({ cuts: result.proxy.cutCount });
      return result;
    });
  });
  tally.end();
}

/**
 * Whether a connection breaks as it opens. Of a hundred such breaks a Java client does not notice one or two, connects no
 * more, and refuses the connection when no topology has come within its call time-out; no broker hears of any of it.
 */
function isBeforeAll({ way, manner, frames }: Cut): boolean {
  return way === "out" && manner === "before" && frames === 0;
}

/**
 * What a program saw of a break, which would see nothing since it is attached again. But the client waits between two
 * parts of a large message until its connection takes more, and refuses the rest where that has just been closed:
 * `NettyConnection.blockUntilWritable` in apache/activemq-artemis; so it does with Artemis.
 */
function seenBy({ lines, troubles }: Story): string[] {
  const unsent = lines.flatMap((line) =>
    line.kind === "send" && line.outcome !== "applied" ? [line.text] : [],
  );
  const isRefusal = (trouble: string): boolean =>
    trouble === "send unknown" || /^send unknown .*_closed_or_disconnected$/.test(trouble);
  const isOfLarge = unsent.length === 1 && unsent[0] === "l0";
  return troubles.filter((trouble) => !isOfLarge || !isRefusal(trouble));
}

/** Ends a broker at the frames that were chosen, while others are at it too. */
export async function kills(
  name: string,
  target: KillTarget,
  checkingUrl: string,
  { own, others = [] }: KillWitnesses,
  cuts: readonly Cut[],
): Promise<void> {
  await using checking = await connectQuietly(checkingUrl, {
    reconnect: { initialAttempts: 10_000, initialDelay: 20, maxDelay: 200 },
  });
  const exchangesPerRun = 1 + own + others.length;
  const tally = new Tally({ name: `${name}: kills`, runCount: cuts.length, exchangesPerRun });
  const watched: KillTarget = { ...target, connect: tally.outages.of(connectQuietly) };
  const all = [...Array.from({ length: own }, () => ownExchanger(watched)), ...others];
  let killCount = 0;
  for (const cut of cuts) {
    const isOver = await tally.count(cutText(cut), async () => {
      const run = await killRun(watched, cut, all, checking);
      if (run.isKilled) killCount += 1;
      tally.happened({ kills: run.isKilled ? 1 : 0 });
      return run;
    });
    // Nobody knows what stands and what does not.
    if (!isOver) break;
  }
  tally.end();
  assert.equal(killCount, cuts.length);
}

/** A broker of ours, which comes back where it was. */
export function everholdTarget(broker: EverholdBroker): KillTarget {
  return {
    port: broker.port,
    otherUrls: [broker.url],
    keepsMarks: true,
    connect: connectQuietly,
    async failOver() {
      await broker.kill();
      await broker.start();
    },
    failBack: () => Promise.resolve(),
  };
}

/** A pair of Artemis; what was delivered is not in its journal. */
export function pairTarget(pair: ArtemisPair): KillTarget {
  return {
    port: pair.live.port,
    otherUrls: [pair.backup.url],
    keepsMarks: false,
    connect: connectQuietly,
    failOver: () => pair.failOver(),
    failBack: () => pair.failBack(),
  };
}

/** Some Java clients that follow a broker to its backup; sends have duplicate ids and are repeated. */
export function javaExchangers(java: JavaExchanges, urls: string, count: number): Exchanger[] {
  const url = `${urls}?ha=true&${javaParameters(false)}`;
  return Array.from({ length: count }, () => (prefix) => java.run({ url, prefix, setsIds: true }));
}

/** Every so many-th place of an exchange, of so many frames. */
export function someCuts(count: number, frames: number): Cut[] {
  return Array.from({ length: count }, (_, index) => ({
    way: index % 2 === 0 ? "out" : "in",
    manner: index % 3 === 2 ? "after" : "before",
    frames: Math.floor(((index + 0.5) * frames) / count),
  }));
}

function javaParameters(window: boolean): string {
  return [
    ...["reconnectAttempts=-1", "initialConnectAttempts=-1", "retryInterval=20"],
    ...["minLargeMessageSize=10240", "blockOnAcknowledge=true"],
    // A client that sees nothing of a break sees nothing either of a machine that stands still for seconds. Another
    // one notices a second break, in the midst of its return, only by the time-out of its call, as either does a break
    // while it closes its connection.
    ...(window
      ? ["confirmationWindowSize=3000", "callTimeout=30000", "connectionTTL=30000"]
      : ["callTimeout=3000", "connectionTTL=4000"]),
    "clientFailureCheckPeriod=1000",
  ].join("&");
}

function ignore(): void {
  // Nobody reads it.
}
