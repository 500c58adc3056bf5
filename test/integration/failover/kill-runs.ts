import type { Connection } from "@everhold/client";

import { leftIn, options, settlesInTime, type CutTarget } from "./cut-runs.ts";
import { exchange, queuesOf } from "./exchange.ts";
import { cutText, FrameProxy, type Cut } from "./frame-proxy.ts";
import { broken } from "./judge-story.ts";
import { Story, type Told } from "./story.ts";

/** A broker that dies and comes back, or whose backup takes over. */
export interface KillTarget extends CutTarget {
  /** The URLs of whoever serves when the first does not. */
  readonly otherUrls: readonly string[];
  /** Whether who comes after knows what was delivered before. */
  readonly keepsMarks: boolean;
  /** Ends it at once; returns when somebody serves. */
  failOver(): Promise<void>;
  /** All is as it was at first. */
  failBack(): Promise<void>;
}

/** Somebody who has an exchange under names of a prefix of his own, and tells what he was told. */
export type Exchanger = (prefix: string) => Promise<Story>;

/** What came of a kill. */
export interface KillRun {
  readonly cut: Cut;
  readonly found: readonly string[];
  readonly troubles: readonly string[];
  readonly isKilled: boolean;
}

let runCount = 0;

/** Our client, directly at the broker. */
export function ownExchanger(
  target: KillTarget,
  url = `tcp://127.0.0.1:${target.port}`,
): Exchanger {
  return async (prefix) => {
    const story = new Story();
    const urls = [url, ...target.otherUrls];
    await using connection = await target.connect(`(${urls.join(",")})`, options);
    if (!(await settlesInTime(exchange(connection, { prefix }, story)))) {
      throw new Error(`${prefix} is unsettled after ${JSON.stringify(story.lines.at(-1))}`);
    }
    return story;
  };
}

/**
 * Has an exchange, kills the broker when it is at `cut`, and judges it when it is over, and those of others, who are
 * in the midst of whatever they are in the midst of.
 */
export async function killRun(
  target: KillTarget,
  cut: Cut,
  others: readonly Exchanger[],
  checking: Connection,
): Promise<KillRun> {
  runCount += 1;
  const prefix = `k${runCount}`;
  let failOver: Promise<void> | undefined;
  const proxy = await FrameProxy.start(target.port, {
    cuts: [cut],
    onCut: () => {
      // Where there is no broker nobody listens.
      proxy.refuse();
      failOver = target.failOver();
      // Whoever waits for it below learns of its failure.
      failOver.catch(() => undefined);
    },
  });
  const found: string[] = [];
  const troubles: string[] = [];
  const judge = async (exchanger: Exchanger, name: string): Promise<void> => {
    const story = await exchanger(name);
    await failOver;
    const left = await leftIn(checking, queuesOf({ prefix: name }));
    const wrong = broken(story.lines, left, { marks: target.keepsMarks });
    const whole = `${story.text}\nleft: ${textsOf(left)}`;
    found.push(...wrong.map((text) => `${name} killed ${cutText(cut)}: ${text}\n${whole}`));
    troubles.push(...story.troubles);
  };
  try {
    await Promise.all([
      judge(ownExchanger(target, proxy.url), prefix),
      ...others.map((other, index) => judge(other, `${prefix}-${index}`)),
    ]);
    await failOver;
  } finally {
    proxy.stop();
  }
  if (failOver !== undefined) await target.failBack();
  return { cut, found, troubles, isKilled: proxy.cutCount > 0 };
}

function textsOf(left: readonly Told[]): string {
  return left.map((line) => ("text" in line ? line.text : line.kind)).join(" ");
}
