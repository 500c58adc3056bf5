import { after, afterEach } from "node:test";

import { Ensemble } from "./ensemble.ts";
import { Owned } from "./owned.ts";

/**
 * Call it in `describe`, and give it in `before` what the tests share, each as soon as it is made: it goes after the last
 * test, and where `before` fails too. Tells of servers as {@link tellOfServers} does.
 */
export function groundOf(): Owned {
  const owned = new Owned();
  tellOfServers();
  after(() => owned[Symbol.asyncDispose]());
  return owned;
}

/** From here on a test that fails says in its error what the servers are or were, with the ends of their logs. */
export function tellOfServers(): void {
  afterEach(async (context) => {
    // Of what stands in the place of a test the types of Node say less.
    if ("error" in context) await addServersTo(context.error);
    Ensemble.forgetOver();
  });
}

/** Adds what the servers are to what a failure says. */
async function addServersTo(failure: unknown): Promise<void> {
  if (!(failure instanceof Error)) return;
  const error = failure.cause instanceof Error ? failure.cause : failure;
  const states = await Promise.all(Ensemble.recent.map((ensemble) => ensemble.describe()));
  // Some who show errors show the one, some the other.
  error.stack = [error.stack ?? "", ...states].join("\n");
  error.message = [error.message, ...states].join("\n");
}
