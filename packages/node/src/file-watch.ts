import { unwatchFile, watchFile, type Stats } from "node:fs";

import { limits } from "./limits.ts";

/**
 * Calls `onChange` some time after one of `files` has changed, appeared or gone, until the function given
 * back is called. It looks at them every two seconds, which works for files that are replaced by others, as
 * editors, certbot and Kubernetes do it, and on network drives; notices of the system miss those.
 */
export function watchFiles(files: readonly string[], onChange: () => void): () => void {
  const listener = (now: Stats, before: Stats): void => {
    const isSame =
      now.mtimeMs === before.mtimeMs && now.size === before.size && now.ino === before.ino;
    if (!isSame) onChange();
  };
  const options = { interval: limits.fileWatchIntervalMs, persistent: false };
  for (const file of files) watchFile(file, options, listener);
  return () => {
    for (const file of files) unwatchFile(file, listener);
  };
}
