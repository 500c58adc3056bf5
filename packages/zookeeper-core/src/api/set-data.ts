import { operations } from "../protocol/operations.ts";
import type { Stat } from "../protocol/stat.ts";
import type { Caller } from "./caller.ts";
import { changeExpected, findNode, judgeWrite } from "./expected-change.ts";
import { bytesOfData, type NodeData, type VersionOptions, versionOf } from "./request-options.ts";
import { requestSpec } from "./request-spec.ts";

/** How to write data. */
export interface SetDataOptions extends VersionOptions {
  /**
   * With `expected`: whether nobody else would write the same bytes, because they hold a random number or a name of
   * their own. Then they prove whose write it was when no answer came. Default false.
   */
  readonly uniqueData?: boolean;
}

/** Writes data; gives the stat after it. */
export async function setData(
  caller: Caller,
  path: string,
  data: NodeData,
  options: SetDataOptions,
): Promise<Stat> {
  const attempt = "write";
  const serverPath = caller.serverPath(attempt, path);
  const bytes = bytesOfData(attempt, data);
  const version = versionOf(attempt, options);
  const body = { path: serverPath, data: bytes, version };
  const spec = requestSpec(operations.setData, body, serverPath);
  const { expected, uniqueData = false } = options;
  if (expected === undefined) return (await caller.call(spec, options, "once")).stat;
  const written = { data: bytes, isUnique: uniqueData };
  const changed = await changeExpected(
    caller,
    {
      spec,
      judge: async (wait) => {
        const found = await findNode(caller, serverPath, wait);
        const verdict = judgeWrite(expected, written, found);
        return found === undefined ? { verdict } : { verdict, value: { stat: found.stat } };
      },
    },
    options,
  );
  return changed.stat;
}
