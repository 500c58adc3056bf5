import { createInterface } from "node:readline/promises";

import type { Terminal } from "./terminal.ts";

/**
 * Asks a person for a yes, on standard error; no when nobody sits there, or when Ctrl-C ends the command.
 * Everything but the whole word is no.
 */
export async function confirm(terminal: Terminal, question: string): Promise<boolean> {
  if (!terminal.interactive || !process.stdin.isTTY) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(question, { signal: terminal.stop });
    return answer.trim().toLowerCase() === "yes";
  } catch (error) {
    if (terminal.stop.aborted) return false;
    throw error;
  } finally {
    lines.close();
  }
}
