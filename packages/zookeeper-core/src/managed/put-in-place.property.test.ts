import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import fc from "fast-check";
import type { Fate } from "../testing/tree-requests.test-support.ts";
import { testCaller } from "../testing/test-caller.test-support.ts";
import { putInPlace, type Placed } from "./put-in-place.ts";

const ownId = 0x11n;
const formerId = 0x10n;
const foreignId = 0x99n;
const data = new TextEncoder().encode("wanted");

const owner = { sessionId: ownId, formerSessionIds: new Set([formerId]) };
const wanted = { path: "/parent/node", data, acl: undefined, parents: true } as const;

const step = fc.record({
  fate: fc.constantFrom<Fate>("answered", "answered", "answered", "unsent", "lost", "unanswered"),
  /** Whose node is there before the request arrives, as somebody has made it so. */
  before: fc.constantFrom("own", "former", "foreign", "nobody", "as it is", "as it is", "as it is"),
});

test("whatever gets lost and whoever interferes, the node is ours, or somebody else's and untouched", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 30, size: "max" }),
      fc.boolean(),
      async (steps, isLikelyThere) => {
        const { caller, tree } = testCaller({ retry: false });
        tree.sessionId = ownId;
        const left = [...steps];
        const place = (whose: string): void => {
          const ids: Readonly<Record<string, bigint>> = {
            own: ownId,
            former: formerId,
            foreign: foreignId,
          };
          if (whose === "as it is") return;
          if (tree.nodes.has(wanted.path)) tree.delete(wanted.path);
          if (!tree.nodes.has("/parent")) tree.create("/parent");
          tree.sessionId = ids[whose] ?? 0n;
          if (whose !== "nobody") tree.create(wanted.path, new Uint8Array([1]), 1);
          tree.sessionId = ownId;
          // Versions tell it from ours; where they do not, nothing does.
          if (whose === "foreign")
            for (let count = 0; count < 5; count += 1) tree.write(wanted.path, null);
        };
        let before = "as it is";
        tree.fate = () => {
          const next = left.shift();
          before = next?.before ?? "as it is";
          return next?.fate ?? "answered";
        };
        tree.meanwhile = () => place(before);
        let placed: Placed | undefined;
        let isForeignTouched = false;
        for (let tries = 0; placed === undefined; tries += 1) {
          assert.ok(tries <= steps.length, "nothing goes wrong any more");
          const foreign = tree.nodes.get(wanted.path);
          try {
            placed = await putInPlace(caller, wanted, owner, isLikelyThere);
          } catch (error) {
            assert.ok(error instanceof EverholdError, String(error));
          }
          const isForeign = foreign?.stat.ephemeralOwner === foreignId;
          if (isForeign && foreign.stat.version !== 5) isForeignTouched = true;
        }
        assert.equal(isForeignTouched, false);
        const there = tree.nodes.get(wanted.path);
        if (placed.state === "conflict") return assert.equal(placed.owner, foreignId);
        assert.equal(there?.stat.czxid, placed.stat.czxid);
        assert.equal(there.stat.ephemeralOwner, ownId);
        assert.deepEqual(there.data, data);
      },
    ),
    { numRuns: 500 },
  );
});
