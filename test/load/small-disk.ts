import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file system of its own, so small that it can be filled to the brim. Needs the right to mount one. */
export class SmallDisk implements Disposable {
  /** What it is: `ext4` in a file, or `tmpfs` where that cannot be mounted. */
  readonly kind: string;
  readonly folder: string;
  readonly #home: string;

  private constructor(kind: string, home: string, folder: string) {
    this.kind = kind;
    this.#home = home;
    this.folder = folder;
  }

  /** @throws Error when nothing can be mounted here: what it is needed for cannot be shown then */
  static mount(mebibytes: number): SmallDisk {
    const home = mkdtempSync(join(tmpdir(), "everhold-disk-"));
    const folder = join(home, "mounted");
    mkdirSync(folder);
    const reasons: string[] = [];
    for (const [kind, mount] of [
      ["ext4", () => mountImage(home, folder, mebibytes)],
      ["tmpfs", () => run("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "none", folder])],
    ] as const) {
      try {
        mount();
        return new SmallDisk(kind, home, folder);
      } catch (error) {
        reasons.push(`${kind}: ${String(error).trim()}`);
      }
    }
    rmSync(home, { recursive: true });
    throw new Error(
      `cannot mount a small file system, which needs root and the right to mount: ${reasons.join("; ")}`,
    );
  }

  /** Bytes that a program without privileges may still write. */
  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.folder);
    return bavail * bsize;
  }

  /** Somebody else takes all that is left. Gives how many bytes that was. */
  fillToTheBrim(): number {
    const file = openSync(this.#fillerName, "a");
    let count = 0;
    try {
      for (let size = 1024 * 1024; size >= 512; size /= 2) count += writeAllOf(file, size);
    } finally {
      closeSync(file);
    }
    return count;
  }

  /** They give it back. */
  giveBack(): void {
    rmSync(this.#fillerName, { force: true });
  }

  [Symbol.dispose](): void {
    run("umount", [this.folder]);
    rmSync(this.#home, { recursive: true });
  }

  get #fillerName(): string {
    return join(this.folder, "somebody-elses");
  }
}

function writeAllOf(file: number, size: number): number {
  const bytes = new Uint8Array(size).fill(1);
  let count = 0;
  try {
    for (;;) count += writeSync(file, bytes);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOSPC") return count;
    throw error;
  }
}

function mountImage(home: string, folder: string, mebibytes: number): void {
  const image = join(home, "image");
  closeSync(openSync(image, "w"));
  truncateSync(image, mebibytes * 1024 * 1024);
  // Nothing is kept for the administrator, as whom the tests may run.
  run("mkfs.ext4", ["-q", "-m", "0", image]);
  run("mount", ["-o", "loop", image, folder]);
}

function run(program: string, programArguments: readonly string[]): void {
  execFileSync(program, programArguments, { stdio: ["ignore", "ignore", "pipe"], timeout: 60_000 });
}
