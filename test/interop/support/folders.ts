import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** `test/interop`, where the sources are. */
export const interopFolder = fileURLToPath(new URL("../../", import.meta.url));

/** The root of the checkout. */
export const rootFolder = fileURLToPath(new URL("../../../../", import.meta.url));

/** What was downloaded or built once and is good for the next run too; not kept in git. */
export const cacheFolder = join(interopFolder, ".cache");

/** A new folder that goes with its owner. */
export class TemporaryFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "everhold-interop-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}
