import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionError, RejectedError } from "@everhold/base";
import type { LogFields } from "@everhold/env";
import { OutageLog } from "./outage-log.ts";
import type { FailoverTimeline } from "./timeline.ts";

const gone = new ConnectionError("EVH_DISCONNECTED", "gone");

/** A log, and the lines that it was given. */
function capture(): { readonly story: OutageLog; readonly lines: string[] } {
  const lines: string[] = [];
  const write =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      const said = Object.entries(fields).filter(([, value]) => value !== undefined);
      const [start = ""] = message.split(/[,;:]/);
      lines.push(
        [level, start, ...said.map(([name, value]) => `${name}=${String(value)}`)].join(" "),
      );
    };
  const log = {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
  };
  return { story: new OutageLog(log), lines };
}

function timelineOf(result: FailoverTimeline["result"], sendsInDoubt = 0): FailoverTimeline {
  return {
    noticed: "end",
    noticedAtMs: 0,
    error: gone,
    fromUrl: "tcp://a:1",
    ...(result === "completed" ? { toUrl: "tcp://b:2" } : {}),
    durationMs: 50,
    result,
    attempts: [],
    attemptCount: 2,
    sessionsReattached: 3,
    sessionsRecreated: 0,
    sendsReplayed: 4,
    sendsSuppressed: 0,
    sendsInDoubt,
  };
}

describe("an outage in the log", () => {
  it("has a line for each event, and no word of what did not happen", () => {
    const { story, lines } = capture();
    story.broke("tcp://a:1", "end", gone);
    story.roundFailed({ attempt: 1, delay: 100.4, error: gone, failures: [] });
    story.ended(timelineOf("completed"), undefined);
    assert.deepEqual(lines, [
      "warn The connection broke url=tcp://a:1 noticed=end code=EVH_DISCONNECTED error=gone",
      "warn No broker could be reached attempt=1 nextInMs=100 code=EVH_DISCONNECTED error=gone",
      "info The connection stands again url=tcp://b:2 from=tcp://a:1 awayMs=50 attempts=2 sessionsReattached=3 sendsReplayed=4",
    ]);
  });

  it("names who refuses the client, and who could not be reached", () => {
    const { story, lines } = capture();
    const refused = new RejectedError("EVH_SECURITY", "no");
    const failures = [
      { url: "tcp://a:1", error: refused },
      { url: "tcp://b:2", error: gone },
      { url: "tcp://c:3", error: gone },
    ];
    story.roundFailed({ attempt: 1, delay: 100, error: refused, failures });
    story.roundFailed({ attempt: 2, delay: 100, error: refused, failures: failures.slice(0, 1) });
    assert.deepEqual(lines, [
      "warn A broker refuses this client refusedBy=tcp://a:1 notReached=tcp://b:2,tcp://c:3 attempt=1 nextInMs=100 code=EVH_SECURITY error=no",
      "warn A broker refuses this client refusedBy=tcp://a:1 attempt=2 nextInMs=100 code=EVH_SECURITY error=no",
    ]);
  });

  it("names the connection that takes nobody else yet", () => {
    const { story, lines } = capture();
    const failures = [{ url: "tcp://a:1", error: gone }];
    story.joiningFailed({ attempt: 1, delay: 100, error: gone, failures });
    assert.deepEqual(lines, [
      "warn No sessions could be opened on the shared connection url=tcp://a:1 attempt=1 nextInMs=100 code=EVH_DISCONNECTED error=gone",
    ]);
  });

  it("tells of doubt, and how to find out", () => {
    const { story, lines } = capture();
    story.ended(timelineOf("completed", 7), undefined);
    assert.deepEqual(lines.slice(1), [
      "warn Of some sends nobody knows whether they took effect sends=7",
    ]);
  });

  it("says why the connection was not brought back, and nothing when the application closed it", () => {
    const { story, lines } = capture();
    story.ended(timelineOf("failed"), gone);
    story.ended(timelineOf("abandoned"), gone);
    assert.deepEqual(lines, [
      "error The connection could not be brought back and is closed from=tcp://a:1 awayMs=50 attempts=2 code=EVH_DISCONNECTED error=gone",
    ]);
  });

  it("that lasts tells less and less of what is always the same, and at once what is new", () => {
    const { story, lines } = capture();
    story.broke("tcp://a:1", "end", gone);
    for (let attempt = 1; attempt <= 100; attempt += 1) {
      const error = attempt < 50 ? gone : new ConnectionError("EVH_NOT_CONNECTED", "refused");
      story.roundFailed({ attempt, delay: 1, error, failures: [] });
    }
    const told = lines.slice(1).map((line) => Number(/attempt=(\d+)/.exec(line)?.[1]));
    assert.deepEqual(told, [1, 2, 4, 8, 16, 32, 50, 64]);
  });
});
