import { ClosedError, EverholdError, RejectedError } from "@everhold/base";
import type { ConnectionCore } from "../connection/connection-core.ts";
import { asEverholdError } from "../connection/connection-errors.ts";
import { queryQueue } from "../core/administration.ts";
import type { Message } from "../receive/message.ts";
import { checkFilter, checkName } from "./check-options.ts";
import { flavours } from "../session/core-session.ts";
import { intakeHost, intakeSettings } from "./consumer-sources.ts";

/** What to look at. */
export interface BrowseOptions {
  /** An SQL-92 selector. */
  readonly filter?: string;
  /** Ends the browsing with EVH_ABORTED. */
  readonly signal?: AbortSignal;
}

/**
 * The messages of a queue in order, each left where it is. The end is found by asking the broker for a
 * marker behind all that it has. A queue that does not exist is not created.
 *
 * @throws RejectedError EVH_QUEUE_DOES_NOT_EXIST, EVH_INVALID_FILTER
 */
export async function* browseQueue<T>(
  core: ConnectionCore,
  queue: string,
  options: BrowseOptions,
): AsyncIterableIterator<Message<T>> {
  checkName("browse", queue);
  checkFilter(options.filter);
  const { signal } = options;
  const wait = signal === undefined ? {} : { signal };
  const bounds = { deadlineMs: Infinity, signal };
  const subject = { attempt: `browse ${queue}`, outcome: () => "none" as const };
  const session = await core.openSession(flavours.plain, wait, `browse ${queue}`);
  try {
    const target = {
      queue,
      filter: options.filter ?? null,
      async prepare(channel: Parameters<typeof queryQueue>[0]) {
        const found = await queryQueue(channel, queue);
        if (found.exists) return;
        throw new RejectedError(
          "EVH_QUEUE_DOES_NOT_EXIST",
          `Cannot browse ${queue}: no queue has this name`,
        );
      },
    };
    const prefetch = { bytes: 1024 * 1024 };
    const settings = { ...intakeSettings(core, target, {}, true), prefetch };
    const adding = session.addIntake(settings, intakeHost(core, core.base, target, {}));
    const intake = await core.waitFor(bounds, subject, adding);
    const life = intake.incarnation;
    for (;;) {
      const message = intake.take();
      if (message !== undefined) {
        yield message;
        message.incoming?.discard();
        continue;
      }
      await core.waitFor(bounds, subject, intake.caughtUp());
      // On the next connection the broker may go on where it was.
      const isTold = !intake.isBroken;
      await core.waitFor(bounds, subject, intake.whole());
      if (intake.ended) throw asEverholdError(intake.endError ?? closedError(queue));
      // A new life of the consumer would begin with the first message again.
      if (!intake.isAttached || intake.incarnation !== life) throw brokenError(queue);
      if (isTold && intake.isEmpty) return;
    }
  } finally {
    await core.closeSession(session);
  }
}

function closedError(queue: string): ClosedError {
  return new ClosedError(
    "EVH_CLOSED",
    `Cannot browse ${queue} to its end: the connection is closed`,
  );
}

function brokenError(queue: string): EverholdError {
  return new EverholdError(
    "EVH_UNBLOCKED",
    `Cannot browse ${queue} to its end: the connection broke; begin again`,
  );
}
