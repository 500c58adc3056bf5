import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { parseConversation, type Conversation } from "./conversation.ts";

const folder = fileURLToPath(new URL("../../conversations/recordings/", import.meta.url));

/** A recording as it is kept. */
export interface Recording extends Conversation {
  /** What tests call it: broker, client, scenario. */
  readonly name: string;
  readonly text: string;
}

/** Every recording that is kept. */
export function readRecordings(): Recording[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".txt"))
    .map((path) => path.replaceAll("\\", "/"))
    .toSorted()
    .map((path) => {
      const text = readFileSync(join(folder, path), "utf8");
      return { ...parseConversation(text), name: path.slice(0, -".txt".length), text };
    });
}
