import type { ByteReader, ByteWriter, Field } from "@everhold/wire";
import { zooKeeperErrors } from "../protocol/error-codes.ts";
import { operations, type OperationOf } from "../protocol/operations.ts";
import type { SetWatches2Request, SetWatchesRequest } from "../protocol/records.ts";
import { addWatchModes, watcherTypes } from "../protocol/watch-events.ts";
import type { RequestSpec } from "../session/request.ts";
import type { OneShotKind } from "./one-shot-watches.ts";
import type { WireMode } from "./standing-watches.ts";

/**
 * Asks for a watch that stays. `modeAtSend` is asked when the request leaves, because what else is wanted at the path
 * may have changed meanwhile, and one path has one mode. `onAnswer` is called when the server has said that it stands,
 * before anything that came later.
 */
export function addWatchSpec(
  { path, shownPath }: { readonly path: string; readonly shownPath?: string | undefined },
  modeAtSend: () => Exclude<WireMode, "none">,
  onAnswer: () => void,
): RequestSpec<void> {
  const body = (): { readonly path: string; readonly mode: number } => ({
    path,
    mode:
      modeAtSend() === "recursive" ? addWatchModes.persistentRecursive : addWatchModes.persistent,
  });
  const spec = specOf(operations.addWatch, body, path);
  return {
    ...spec,
    shownPath,
    decode(reader, header) {
      spec.decode(reader, header);
      onAnswer();
    },
  };
}

/** Takes away all that stands at a path on this connection, what tells once included; nothing there is no error. */
export function removeWatchesSpec(path: string, onSend: () => void): RequestSpec<void> {
  const body = (): { readonly path: string; readonly type: number } => {
    onSend();
    return { path, type: watcherTypes.any };
  };
  return {
    ...specOf(operations.removeWatches, body, path),
    recover: (errorCode) =>
      errorCode === zooKeeperErrors.NOWATCHER.number ? { value: undefined } : undefined,
  };
}

/** Asks whether this connection has a watch at a path on the server, of one kind or any. */
export function checkWatchesSpec(
  path: string,
  kind: OneShotKind | undefined,
): RequestSpec<boolean> {
  const body = { path, type: watcherTypes[kind ?? "any"] };
  const spec = specOf(operations.checkWatches, () => body, path);
  return {
    ...spec,
    decode: () => true,
    recover: (errorCode) =>
      errorCode === zooKeeperErrors.NOWATCHER.number ? { value: false } : undefined,
  };
}

/** Asks for watches that tell once; the server tells at once of what changed since `relativeZxid`. */
export function setWatchesSpec(atSend: () => SetWatchesRequest): RequestSpec<void> {
  return specOf(operations.setWatches, atSend);
}

/** The same for watches that stay, of which the server tells nothing that was. From ZooKeeper 3.6 on. */
export function setWatches2Spec(atSend: () => SetWatches2Request): RequestSpec<void> {
  return specOf(operations.setWatches2, atSend);
}

function specOf<Request, Reply>(
  operation: OperationOf<Request, Reply>,
  atSend: () => Request,
  path?: string,
): RequestSpec<void> {
  const reply: Field<Reply> = operation.reply;
  return {
    operation,
    ...(path === undefined ? {} : { path }),
    encode: (writer: ByteWriter) => operation.request.write(writer, atSend(), 0),
    decode: (reader: ByteReader) => void reply.read(reader, 0),
  };
}
