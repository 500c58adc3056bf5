import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import {
  parseRoleMessage,
  type RoleMessage,
  type RoleOrder,
  type RoleTask,
} from "./role-messages.ts";

/** A producer or a subscriber of the demo in a process of its own. */
export class RoleProcess {
  readonly #process: ChildProcess;

  /** `onMessage` is told everything the part says, its failure included. */
  constructor(task: RoleTask, onMessage: (message: RoleMessage) => void) {
    const program = task.role === "producer" ? "producer-main.js" : "subscriber-main.js";
    this.#process = fork(fileURLToPath(new URL(program, import.meta.url)), [JSON.stringify(task)]);
    this.#process.on("message", (value) => onMessage(parseRoleMessage(value)));
    this.#process.on("exit", (code, signal) => {
      if (code === 0) return;
      const how = signal === null ? `exit code ${String(code)}` : signal;
      onMessage({ kind: "failed", message: `the process of ${task.role} ended with ${how}` });
    });
  }

  /** Lets a producer send until it has sent `count`; the others do not listen for it. */
  allow(count: number): void {
    this.#tell({ kind: "allow", count });
  }

  /** Asks it to report what it has so far. */
  finish(): void {
    this.#tell({ kind: "finish" });
  }

  #tell(order: RoleOrder): void {
    // One that has just ended needs no orders any more; how it ended is told by its exit.
    if (this.#process.connected) this.#process.send(order, () => undefined);
  }

  /** Ends it if it still runs; settles when it is gone. */
  async end(): Promise<void> {
    const child = this.#process;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.removeAllListeners("exit");
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }
}
