import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** `test/zookeeper`, where the sources are. */
export const zooKeeperFolder = fileURLToPath(new URL("../../", import.meta.url));

/** Class paths that Maven resolved once; not kept in git. */
export const cacheFolder = join(zooKeeperFolder, ".cache");

/** A new folder that goes with its owner. */
export class TemporaryFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "everhold-zookeeper-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}
