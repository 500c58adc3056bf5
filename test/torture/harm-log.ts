import { nowMicroseconds } from "./history-file.ts";
import type { Cause } from "./outages.ts";

/** What was done to a group, in the order in which it was. */
export class HarmLog {
  readonly entries: Cause[] = [];
  readonly #onProgress: (words: string) => void;

  constructor(onProgress: (words: string) => void) {
    this.#onProgress = onProgress;
  }

  note(name: string, about = ""): void {
    this.entries.push({ name, atMicroseconds: nowMicroseconds() });
    this.#onProgress(`  ${name}${about === "" ? "" : `: ${about}`}`);
  }
}
