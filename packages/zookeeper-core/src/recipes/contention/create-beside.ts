import { EverholdError } from "@everhold/base";
import type { Created } from "../../api/create.ts";
import { ops } from "../../api/multi-operations.ts";
import { protectedNode } from "../../api/protected-create.ts";
import { retries } from "../../api/retry-policy.ts";
import { ZooKeeper } from "../../api/zookeeper.ts";
import { isReason } from "../../errors.ts";
import type { Acl } from "../../protocol/acl.ts";
import { childOf } from "../../protocol/paths.ts";
import { contentionLimits } from "./contention-limits.ts";

/**
 * Creates a node that stands in line with the same number as the one at `besidePath`, in one step with looking whether
 * that one is still there: so nobody can have come in between. Goes on until that is known, in the session of `client`.
 *
 * @throws EverholdError EVH_LEASE_LOST when that one has gone
 */
export async function createBeside(
  client: ZooKeeper,
  line: {
    readonly path: string;
    readonly data: Uint8Array | null;
    readonly acl: readonly Acl[] | undefined;
  },
  nameStart: string,
  besidePath: string,
): Promise<Created> {
  const { random } = ZooKeeper.callerOf(client).context.ports;
  const number = /-?\d+$/.exec(besidePath)?.[0] ?? "";
  const { path } = protectedNode(random, childOf(line.path, nameStart + number));
  const { data, acl } = line;
  const mode = "ephemeral";
  const node = ops.create(path, data, acl === undefined ? { mode } : { mode, acl });
  const retry = retries.exponential({ maxMs: contentionLimits.pauseMsMax });
  const request = { timeout: Infinity, retry };
  for (;;) {
    try {
      await client.multi([ops.check(besidePath), node], request);
    } catch (error) {
      if (isReason(error, "NONODE")) {
        throw new EverholdError("EVH_LEASE_LOST", `The node ${besidePath} has gone`, {
          cause: error,
        });
      }
      // The name is nobody else's: an attempt before, whose answer was lost, has made it.
      const isDecided = !EverholdError.is(error) || error.outcome !== "unknown";
      if (isDecided && !isReason(error, "NODEEXISTS")) throw error;
    }
    const stat = await client.exists(path, { ...request, fresh: true });
    if (stat !== null) return { path, stat };
  }
}
