import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Touches } from "../connection/touches.ts";
import { LeaseEnd } from "./lease-end.ts";

const times = { sessionTimeoutMs: 10_000, tickMs: 1000 };

test("one renewal proves nothing about what the leader knows", () => {
  const end = new LeaseEnd(times.tickMs);
  end.answered({ sentAtMs: 5000, answeredAtMs: 5005 });
  assert.equal(end.endMs(times.sessionTimeoutMs), -Infinity);
});

test("the lease is counted from the newest renewal that is a tick older than the newest", () => {
  const end = new LeaseEnd(times.tickMs);
  for (const sentAtMs of [0, 400, 900]) end.answered({ sentAtMs, answeredAtMs: sentAtMs + 5 });
  assert.equal(end.endMs(times.sessionTimeoutMs), -Infinity);
  end.answered({ sentAtMs: 1450, answeredAtMs: 1455 });
  assert.equal(end.endMs(times.sessionTimeoutMs), 400 + 9500);
  end.answered({ sentAtMs: 5000, answeredAtMs: 5005 });
  assert.equal(end.endMs(times.sessionTimeoutMs), 1450 + 9500);
});

test("an answer that took long counts from before its way began", () => {
  const end = new LeaseEnd(times.tickMs);
  for (const sentAtMs of [0, 1000, 2000, 3000])
    end.answered({ sentAtMs, answeredAtMs: sentAtMs + 5 });
  end.answered({ sentAtMs: 4000, answeredAtMs: 7000 });
  assert.equal(end.endMs(times.sessionTimeoutMs), 1000 + 9500);
});

test("what was held up on its way counts only where it had been answered a tick earlier", () => {
  const end = new LeaseEnd(times.tickMs);
  end.answered({ sentAtMs: 0, answeredAtMs: 5 });
  end.answered({ sentAtMs: 1000, answeredAtMs: 4000 });
  end.answered({ sentAtMs: 4001, answeredAtMs: 4005 });
  assert.equal(end.endMs(times.sessionTimeoutMs), 0 + 9500);
});

test("what was heard of before counts where it is a tick older, and the hello in any case", () => {
  const touches = new Touches(0);
  const end = new LeaseEnd(times.tickMs, (followerMs) => touches.heardAtMs(followerMs));
  touches.note(300, 305);
  end.answered({ sentAtMs: 700, answeredAtMs: 705 });
  assert.equal(end.endMs(times.sessionTimeoutMs), 0 + 9500);
  touches.note(700, 705);
  touches.note(2000, 2005);
  end.answered({ sentAtMs: 2500, answeredAtMs: 2505 });
  assert.equal(end.endMs(times.sessionTimeoutMs), 700 + 9500);
});

test("renewals that are punctual every tick are counted from all the same", () => {
  for (const [tickMs, intervalMs, ageMsMax] of [
    [1000, 1000, 1010],
    [2000, 1000, 2010],
    [500, 1000, 1010],
  ] as const) {
    const end = new LeaseEnd(tickMs);
    let sentAtMs = 0;
    for (let count = 0; count < 20; count += 1) {
      end.answered({ sentAtMs, answeredAtMs: sentAtMs + 5 });
      const countedFromMs = end.endMs(times.sessionTimeoutMs) - 9500;
      if (count > 5) assert.ok(sentAtMs - countedFromMs <= ageMsMax, `every ${intervalMs} ms`);
      const dueMs = sentAtMs + intervalMs;
      sentAtMs = end.sendAtMs(dueMs, dueMs + intervalMs / 8);
      assert.ok(sentAtMs >= dueMs && sentAtMs <= dueMs + 10);
    }
  }
});

test("a renewal is not put off for one that it could be counted from much later only", () => {
  const end = new LeaseEnd(times.tickMs);
  end.answered({ sentAtMs: 0, answeredAtMs: 5 });
  assert.equal(end.sendAtMs(500, 750), 500);
  assert.equal(end.sendAtMs(1000, 1500), 1006);
});

/** A follower that passes on what it hears, until it is cut off. Milliseconds; the leader pings twice in a tick. */
const outage = fc.record({
  /** When the leader's pings begin. */
  phaseMs: fc.integer({ min: 0, max: 499 }),
  /** When nothing gets through between follower and leader any more. */
  cutAtMs: fc.integer({ min: 0, max: 40_000 }),
  /** From one request to the next. */
  gapsMs: fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 5, maxLength: 60 }),
  /** Which requests are renewals; the others are answered by the follower alone. Used in turn. */
  renewals: fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
  /** Ways between client, follower and leader, used in turn. */
  delaysMs: fc.array(fc.integer({ min: 0, max: 120 }), { minLength: 1, maxLength: 20 }),
});

test("whenever a follower is cut off, the lease ends before the leader may end the session", () => {
  let heldCount = 0;
  fc.assert(
    fc.property(outage, ({ phaseMs, cutAtMs, gapsMs, renewals, delaysMs }) => {
      let delayIndex = 0;
      const delayMs = (): number => delaysMs[delayIndex++ % delaysMs.length] ?? 0;
      // The leader has granted the session at 0.
      const touches = new Touches(0);
      const end = new LeaseEnd(times.tickMs, (followerMs) => touches.heardAtMs(followerMs));
      /** When the follower heard of the session, since it last said so. */
      let heard: number[] = [];
      let touchedAtMs = 0;
      let nextPingAtMs = phaseMs;
      let linkFreeAtMs = 0;
      /** When something that leaves the follower now is with the leader; nothing overtakes on this way. */
      const overLink = (leftAtMs: number): number => {
        linkFreeAtMs = Math.max(linkFreeAtMs, leftAtMs + delayMs());
        return linkFreeAtMs;
      };
      const pingUntil = (untilMs: number): void => {
        for (; nextPingAtMs <= untilMs; nextPingAtMs += times.tickMs / 2) {
          const pingedAtMs = nextPingAtMs + delayMs();
          const known = heard.filter((atMs) => atMs <= pingedAtMs);
          heard = heard.filter((atMs) => atMs > pingedAtMs);
          const toldAtMs = overLink(pingedAtMs);
          if (known.length > 0 && toldAtMs < cutAtMs) touchedAtMs = toldAtMs;
        }
      };
      let sentAtMs = 0;
      for (const [index, gapMs] of gapsMs.entries()) {
        sentAtMs += gapMs;
        const atFollowerMs = sentAtMs + delayMs();
        pingUntil(atFollowerMs - 240);
        heard.push(atFollowerMs);
        pingUntil(atFollowerMs);
        if (renewals[index % renewals.length] === false) {
          touches.note(sentAtMs, atFollowerMs + delayMs());
          continue;
        }
        const committedAtMs = overLink(atFollowerMs) + delayMs();
        if (committedAtMs >= cutAtMs || committedAtMs > touchedAtMs + times.sessionTimeoutMs) break;
        const answeredAtMs = committedAtMs + delayMs();
        end.answered({ sentAtMs, answeredAtMs });
        touches.note(sentAtMs, answeredAtMs);
      }
      if (end.endMs(times.sessionTimeoutMs) > 0) heldCount += 1;
      assert.ok(end.endMs(times.sessionTimeoutMs) <= touchedAtMs + times.sessionTimeoutMs);
    }),
    { numRuns: 2000 },
  );
  assert.ok(heldCount > 1000, `held in ${heldCount} runs`);
});
