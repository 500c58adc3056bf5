/** A suite that fails, in `before` or in its `test`, as its argument says: for the one that looks what failures say and leave. */
import { before, describe, it } from "node:test";

import { Ensemble } from "./ensemble.ts";
import { groundOf } from "./ground.ts";

const [, , where] = process.argv;

describe("a suite", () => {
  const ground = groundOf();
  before(async () => {
    const ensemble = ground.own(await Ensemble.start({ version: "3.9.5", size: 1 }));
    for (const { pid, folder } of ensemble.servers) process.stdout.write(`made ${pid} ${folder}\n`);
    if (where === "before") throw new Error("on purpose");
  });

  it("fails", () => {
    throw new Error("on purpose");
  });
});
