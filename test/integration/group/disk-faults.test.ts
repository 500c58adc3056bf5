import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { diskFaults, setDiskTrouble, type DiskTrouble } from "./disk-control.ts";

/** Says what comes of a new file, of a write that makes it longer, and of one that does not. */
const program = `
  import * as fs from "node:fs";
  const [folder] = process.argv.slice(-1);
  const { O_RDWR, O_CREAT } = fs.constants;
  const tell = (error) => process.stdout.write((error?.code ?? "done") + " ");
  const write = (file, position, then) => fs.write(file, Buffer.alloc(8), 0, 8, position, (error) => {
    tell(error);
    then();
  });
  fs.open(folder + "/new", O_RDWR | O_CREAT, 0o600, (error) => {
    tell(error);
    fs.open(folder + "/old", O_RDWR, 0, (_, file) => write(file, 4, () => write(file, 0, () => {})));
  });`;

test("a disk that is full makes nothing longer, and one that fails writes nothing; others do both", () => {
  assert.deepEqual(
    {
      full: wordsWith({ kind: "full" }),
      failing: wordsWith({ kind: "failing" }),
      slow: wordsWith({ kind: "slow", delayMs: 1 }),
      none: wordsWith(undefined),
    },
    {
      full: ["ENOSPC", "ENOSPC", "done"],
      failing: ["EIO", "EIO", "EIO"],
      slow: ["done", "done", "done"],
      none: ["done", "done", "done"],
    },
  );
});

function wordsWith(trouble: DiskTrouble | undefined): string[] {
  const folder = mkdtempSync(join(tmpdir(), "everhold-disk-"));
  const dataFolder = join(folder, "data");
  try {
    mkdirSync(dataFolder);
    writeFileSync(join(dataFolder, "old"), Buffer.alloc(8));
    setDiskTrouble(dataFolder, trouble);
    const config = ["--config", join(folder, "everhold.json")];
    const told = execFileSync(
      process.execPath,
      ["--import", diskFaults, "--input-type=module", "-e", program, "--", ...config, dataFolder],
      { encoding: "utf8" },
    );
    return told.trim().split(" ");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
