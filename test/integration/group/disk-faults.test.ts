import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { diskFaults, setDiskTrouble, type DiskTrouble } from "./disk-control.ts";

/**
 * Says what comes of a new file, of a write that makes it longer, and of one that does not; and when it has waited for
 * longer than these take on a disk that answers.
 */
const program = `
  import * as fs from "node:fs";
  const [folder] = process.argv.slice(-1);
  const { O_RDWR, O_CREAT } = fs.constants;
  const tell = (error) => process.stdout.write((error?.code ?? "done") + " ");
  const write = (file, position, then) => fs.write(file, Buffer.alloc(8), 0, 8, position, (error) => {
    tell(error);
    then();
  });
  setTimeout(() => process.stdout.write("waited "), 300);
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

test("a disk that hangs answers nothing until it hangs no more, then everything", async () => {
  const { folder, dataFolder } = newFolders();
  try {
    setDiskTrouble(dataFolder, { kind: "hanging" });
    const child = spawn(process.execPath, argumentsOf(folder, dataFolder), {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const words: string[] = [];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      words.push(...text.trim().split(" "));
      if (words.includes("waited")) setDiskTrouble(dataFolder, undefined);
    });
    await once(child, "close");
    assert.deepEqual(words, ["waited", "done", "done", "done"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function wordsWith(trouble: DiskTrouble | undefined): string[] {
  const { folder, dataFolder } = newFolders();
  try {
    setDiskTrouble(dataFolder, trouble);
    const told = execFileSync(process.execPath, argumentsOf(folder, dataFolder), {
      encoding: "utf8",
    });
    return told
      .trim()
      .split(" ")
      .filter((word) => word !== "waited");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Of a member whose data is one file. */
function newFolders(): { readonly folder: string; readonly dataFolder: string } {
  const folder = mkdtempSync(join(tmpdir(), "everhold-disk-"));
  const dataFolder = join(folder, "data");
  mkdirSync(dataFolder);
  writeFileSync(join(dataFolder, "old"), Buffer.alloc(8));
  return { folder, dataFolder };
}

function argumentsOf(folder: string, dataFolder: string): string[] {
  const config = ["--config", join(folder, "everhold.json")];
  const loaded = ["--import", diskFaults, "--input-type=module"];
  return [...loaded, "-e", program, "--", ...config, dataFolder];
}
