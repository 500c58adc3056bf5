import { EverholdError } from "everhold";

import { limits } from "../limits.ts";
import { UsageError } from "../usage-error.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Gets a password: from a person, asked twice and not shown, or else the first line of standard input. Never
 * from arguments, which everybody on the machine can read.
 *
 * @throws UsageError when there is none, or the two differ; EverholdError EVH_ABORTED on Ctrl-C
 */
export async function readPassword(terminal: Terminal, question: string): Promise<string> {
  if (!process.stdin.isTTY) return firstLine(await readInput());
  const password = await ask(terminal, `${question}: `);
  if (password === "") throw new UsageError("expected a password, found an empty one");
  const again = await ask(terminal, "Once more: ");
  if (again !== password) throw new UsageError("the two passwords differ; nothing was changed");
  return password;
}

async function readInput(): Promise<string> {
  let text = "";
  process.stdin.setEncoding("utf8");
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.length > limits.passwordInputCharsMax) {
      throw new UsageError(
        `expected a password on standard input, found more than ${limits.passwordInputCharsMax} bytes`,
      );
    }
  }
  return text;
}

function firstLine(text: string): string {
  const [line = ""] = text.split(/\r?\n/, 1);
  if (line !== "") return line;
  throw new UsageError("expected a password in the first line of standard input, found none");
}

/** Reads a line without showing it. */
function ask(terminal: Terminal, question: string): Promise<string> {
  const { stdin } = process;
  terminal.writeError(question);
  stdin.setRawMode(true);
  stdin.setEncoding("utf8");
  return new Promise<string>((resolve, reject) => {
    let typed = "";
    const end = (): void => {
      stdin.off("data", onData);
      terminal.stop.removeEventListener("abort", onStop);
      stdin.setRawMode(false);
      stdin.pause();
      terminal.writeError("\n");
    };
    const onStop = (): void => {
      end();
      reject(new EverholdError("EVH_ABORTED", "no password was given; nothing was changed"));
    };
    const onData = (text: string): void => {
      for (const character of text) {
        if (character === "\r" || character === "\n") {
          end();
          resolve(typed);
          return;
        }
        // In raw mode Ctrl-C and Ctrl-D are characters.
        if (character === "\u0003" || character === "\u0004") {
          onStop();
          return;
        }
        if (character === "\u007f" || character === "\b") typed = [...typed].slice(0, -1).join("");
        else typed += character;
      }
    };
    terminal.stop.addEventListener("abort", onStop, { once: true });
    stdin.on("data", onData);
    stdin.resume();
  });
}
