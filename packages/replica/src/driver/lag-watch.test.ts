import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Peer } from "@everhold/group";

import { LagWatch } from "./lag-watch.ts";

function peer(acknowledged: number | null): Peer {
  return { link: 1, id: "bert", incarnation: "b", alignedAt: 0, acknowledged };
}

describe("how long a backup is behind", () => {
  it("is nothing while it has everything, and grows from when it last had", () => {
    const watch = new LagWatch();
    watch.look([peer(100)], 100, 1000);
    assert.equal(watch.lagMs(peer(100), 100, 1050), 0);
    assert.equal(watch.lagMs(peer(100), 200, 1050), 50);
    watch.look([peer(100)], 200, 1100);
    watch.look([peer(150)], 300, 1200);
    assert.equal(watch.lagMs(peer(150), 300, 1200), 200, "at 1100 it had what there was at 1000");
    watch.look([peer(300)], 400, 1300);
    assert.equal(watch.lagMs(peer(300), 400, 1300), 100, "what there was at 1200 has come");
    watch.look([peer(300)], 400, 2300);
    assert.equal(watch.lagMs(peer(300), 400, 2300), 1100);
    assert.equal(watch.lagMs(peer(400), 400, 2300), 0);
  });

  it("begins when one comes that has not told how far it is", () => {
    const watch = new LagWatch();
    assert.equal(watch.lagMs(peer(null), 100, 5000), 0);
    watch.look([peer(null)], 100, 5000);
    watch.look([peer(50)], 100, 5100);
    assert.equal(watch.lagMs(peer(50), 100, 5100), 100);
    watch.look([], 100, 5200);
    watch.look([peer(50)], 100, 9000);
    assert.equal(watch.lagMs(peer(50), 100, 9000), 0, "it has come anew");
  });
});
