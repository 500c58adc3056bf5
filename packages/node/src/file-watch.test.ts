import assert from "node:assert/strict";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { deferred } from "@everhold/base";
import { watchFiles } from "./file-watch.ts";
import { withFolder } from "./temporary-folder.test-support.ts";

describe("files that are watched", () => {
  it("are noticed when they change right after that, appear, are replaced, or go", async () => {
    await withFolder(noticesEach);
  });
});

async function noticesEach(folder: string): Promise<void> {
  const file = join(folder, "watched");
  const steps: readonly (() => void)[] = [
    () => writeFileSync(file, "one"),
    () => {
      writeFileSync(`${file}.new`, "two");
      renameSync(`${file}.new`, file);
    },
    () => rmSync(file),
  ];
  let noticedCount = 0;
  // Watching keeps nobody alive: the process would end before anything is noticed.
  const awake = setInterval(() => undefined, 1000);
  for (const step of steps) {
    const noticed = deferred<undefined>();
    const stop = watchFiles([file], () => noticed.resolve(undefined));
    step();
    await noticed.promise;
    stop();
    noticedCount += 1;
  }
  clearInterval(awake);
  assert.equal(noticedCount, steps.length);
}
