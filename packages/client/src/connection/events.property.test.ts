import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { assertNothingRuns, TestWorld } from "@everhold/test-world";
import { connect } from "../connect.ts";
import type { ConnectionEvent } from "../events.ts";
import { TestBroker } from "../testing/test-broker.test-support.ts";

/** What may happen to a connection. */
const happening = fc.oneof(
  fc.record({ what: fc.constantFrom("kill", "start", "cut", "mute", "unmute"), at: fc.nat(1) }),
  fc.record({ what: fc.constant("steps"), at: fc.integer({ min: 1, max: 12 }) }),
  fc.record({ what: fc.constant("time"), at: fc.integer({ min: 1, max: 15_000 }) }),
  fc.record({ what: fc.constant("reconnect"), at: fc.constant(0) }),
);

const options = fc.record({
  reconnect: fc.record({
    attempts: fc.constantFrom(0, 1, 4, Infinity),
    initialDelay: fc.constant(50),
  }),
  failoverTimeout: fc.constantFrom(0, 500),
  connectTimeout: fc.constant(2000),
});

/** Every `disconnect` has one `failover`, a completed one comes after `reconnect`, and `close` comes last. */
const story =
  /^(disconnect (reconnecting )*reconnect failover:completed )*(disconnect (reconnecting )*failover:(failed|abandoned) )?close $/;

describe("the events of a connection", () => {
  it("come each once and in order, whatever happens, and nothing is left after close", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(happening, { maxLength: 30 }),
        options,
        fc.nat(12),
        async (happenings, given, stepsBeforeClose) => {
          const world = new TestWorld();
          const brokers = [new TestBroker(world, 1), new TestBroker(world, 2)];
          const connection = await world.now(connect(world.ports, "h:1,h:2", given));
          let told = "";
          const tell = (event: ConnectionEvent): void => {
            const result = event.type === "failover" ? `:${event.result}` : "";
            told += `${event.type}${result} `;
          };
          for (const type of ["disconnect", "reconnecting", "reconnect"] as const) {
            connection.on(type, tell);
          }
          connection.on("failover", tell);
          connection.on("close", tell);
          connection
            .consumer("q")
            .run(() => undefined)
            .catch(() => undefined);
          for (const { what, at } of happenings) {
            const broker = brokers[at];
            if (what === "kill") broker?.kill();
            if (what === "start") broker?.start();
            if (what === "cut") broker?.cut();
            if (what === "mute" && broker !== undefined) broker.rule = () => "drop";
            if (what === "unmute" && broker !== undefined) broker.rule = () => "usual";
            if (what === "reconnect") connection.reconnect().catch(() => undefined);
            if (what === "time") await world.advance(at);
            if (what === "steps") for (let step = 0; step < at; step += 1) await world.step();
          }
          for (let step = 0; step < stepsBeforeClose; step += 1) await world.step();
          const closing = connection.close();
          await world.advance(60_000);
          await world.now(closing);
          assert.match(told, story);
          assertNothingRuns(world);
        },
      ),
      { numRuns: 150 },
    );
  });
});
