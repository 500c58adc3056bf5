import type { Connection } from "everhold";

import { parseRoleTask, type RoleMessage, type RoleTask } from "./role-messages.ts";

/** Tells the process that started this part. */
export function tell(message: RoleMessage): void {
  process.send?.(message);
}

/** Returns what a part calls at each answer: of the first one after the connection broke it tells. */
export function answerWatch(connection: Connection): () => void {
  let isAwaited = false;
  connection.on("reconnect", () => {
    isAwaited = true;
  });
  return () => {
    if (isAwaited) tell({ kind: "answered" });
    isAwaited = false;
  };
}

/** Runs a part of the demo: reads its task, tells how it failed, and lets the process end. */
export async function runRole(work: (task: RoleTask) => Promise<void>): Promise<void> {
  // Ctrl-C reaches every process of the terminal; the one that started this part ends it.
  process.on("SIGINT", () => undefined);
  // Without the one that started it a part has nobody to work for.
  process.on("disconnect", () => process.exit());
  try {
    await work(parseRoleTask(process.argv[2]));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    tell({ kind: "failed", message });
  }
  process.removeAllListeners("disconnect");
  process.disconnect();
}
