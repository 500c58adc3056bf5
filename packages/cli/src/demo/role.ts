import { parseRoleTask, type RoleMessage, type RoleTask } from "./role-messages.ts";

/** Tells the process that started this part. */
export function tell(message: RoleMessage): void {
  process.send?.(message);
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
