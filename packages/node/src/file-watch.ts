import { statSync } from "node:fs";
import { stat } from "node:fs/promises";

import { limits } from "./limits.ts";

/**
 * Calls `onChange` some time after one of `files` has changed, appeared or gone, until the function given
 * back is called. It looks at them every two seconds, which works for files that are replaced by others, as
 * editors, certbot and Kubernetes do it, and on network drives; notices of the system miss those. What changes
 * after the call is noticed: whoever reads the files after it misses nothing.
 */
export function watchFiles(files: readonly string[], onChange: () => void): () => void {
  const seen = new Map(files.map((file) => [file, signNow(file)]));
  let isLooking = false;
  const look = async (): Promise<void> => {
    let hasChanged = false;
    for (const file of files) {
      const sign = await signLater(file);
      hasChanged ||= sign !== seen.get(file);
      seen.set(file, sign);
    }
    isLooking = false;
    if (hasChanged && !isStopped) onChange();
  };
  let isStopped = false;
  const timer = setInterval(() => {
    // A network drive may take longer to answer than that.
    if (isLooking) return;
    isLooking = true;
    look().catch((error: unknown) => {
      // Of looking nothing is thrown; what is comes from `onChange`, and ends the process as from any timer.
      queueMicrotask(() => {
        throw error;
      });
    });
  }, limits.fileWatchIntervalMs);
  timer.unref();
  return () => {
    isStopped = true;
    clearInterval(timer);
  };
}

interface Sign {
  readonly mtimeMs: number;
  readonly size: number;
  readonly ino: number;
}

/** What is another text when the file is another one; nothing while there is none that can be looked at. */
function signOf({ mtimeMs, size, ino }: Sign): string {
  return `${mtimeMs} ${size} ${ino}`;
}

function signNow(file: string): string {
  try {
    return signOf(statSync(file));
  } catch {
    return "";
  }
}

async function signLater(file: string): Promise<string> {
  try {
    return signOf(await stat(file));
  } catch {
    return "";
  }
}
