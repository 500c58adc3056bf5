import { setTimeout as sleep } from "node:timers/promises";

import { connect } from "everhold";

import { ArtemisPair } from "#interop/artemis-pair";

import { storeMessages } from "./generator.ts";
import { memberIds, startGroup, untilWhole } from "./group.ts";
import { median } from "./median.ts";

/** How often the live is killed, over which backlogs. */
export interface FailoverOptions {
  readonly times: number;
  /** Small messages that wait in a queue of their own; each number is measured on a group of its own. */
  readonly backlogs: readonly number[];
  /** Whether a pair of Artemis is killed as often, over the same backlogs. */
  readonly besideArtemis: boolean;
  readonly json: boolean;
}

/** Whose live is killed. */
interface Killable {
  readonly name: string;
  readonly url: string;
  /** Settles when the process has ended. */
  kill(): Promise<void>;
  /** Settles when whoever was killed has everything again, so that the next one may be killed. */
  restore(): Promise<void>;
  end(): Promise<void>;
}

/** Between kills: who was killed a moment ago is more careful than after a day in peace. */
const peaceMs = 1_500;

/** Of the backlog's messages, in bytes. */
const backlogSize = 16;

/**
 * From `kill -9` of the live to the first durable send that is answered by the next one, with our client, which knows all
 * addresses.
 */
export async function measureGroupFailover(options: FailoverOptions): Promise<void> {
  const starts = options.besideArtemis ? [group, artemisPair] : [group];
  for (const backlog of options.backlogs) {
    for (const start of starts) {
      const killable = await start();
      try {
        const { url } = killable;
        if (backlog > 0) {
          const stored = { queue: "backlog", size: backlogSize, storedCount: backlog };
          await storeMessages({ url, durable: true, ...stored });
        }
        print(killable.name, backlog, await outagesOf(killable, options.times), options.json);
      } finally {
        await killable.end();
      }
    }
  }
}

/** Of three members, which a folder settles. */
async function group(): Promise<Killable> {
  const processes = await startGroup(memberIds.length);
  let killed = processes.live;
  return {
    name: "Everhold, 2 backups",
    url: `(${processes.urls.join(",")})`,
    kill: async () => {
      killed = processes.live;
      if (killed === undefined) throw new Error("nobody serves");
      await killed.end("SIGKILL");
    },
    restore: async () => {
      killed?.start();
      await untilWhole(processes);
    },
    end: () => processes.end(),
  };
}

/** The live comes back as the live: the backup gives way to it. */
async function artemisPair(): Promise<Killable> {
  const pair = await ArtemisPair.start({ journal: [], heap: "2G" });
  return {
    name: `Artemis ${pair.live.version}, 1 backup`,
    url: pair.url,
    kill: () => pair.killLive(),
    restore: () => pair.failBack(),
    end: () => pair[Symbol.asyncDispose](),
  };
}

/** In milliseconds. */
async function outagesOf(killable: Killable, times: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < times) {
    const connection = await connect(killable.url);
    try {
      const producer = connection.producer("probe", { durable: true });
      await producer.send("before");
      await sleep(peaceMs);
      const killedAtMs = performance.now();
      // Whoever answers after its end is another one.
      await killable.kill();
      await producer.send("after");
      found.push(performance.now() - killedAtMs);
    } finally {
      await connection.close();
    }
    await killable.restore();
    if (process.stderr.isTTY) {
      process.stderr.write(`${killable.name}: ${found.length} of ${times}\r`);
    }
  }
  return found;
}

function print(name: string, backlog: number, outagesMs: readonly number[], json: boolean): void {
  const sorted = outagesMs.map(Math.round).toSorted((one, other) => one - other);
  const line = {
    name,
    backlog,
    kills: sorted.length,
    medianMs: Math.round(median(sorted)),
    p90Ms: sorted[Math.ceil(sorted.length * 0.9) - 1] ?? 0,
    worstMs: sorted.at(-1) ?? 0,
  };
  const waiting = backlog.toLocaleString("en-US");
  process.stdout.write(
    json
      ? `${JSON.stringify(line)}\n`
      : `${name}, ${waiting} messages waiting, ${line.kills} kills: ` +
          `median ${line.medianMs} ms, p90 ${line.p90Ms} ms, worst ${line.worstMs} ms\n`,
  );
}
