import { ProtocolError } from "@everhold/base";
import { refusedError, type ZooKeeperError } from "../errors.ts";
import { operations } from "../protocol/operations.ts";
import type { MultiPart } from "../protocol/multi.ts";
import type { RequestSpec } from "../session/request.ts";
import { requestSpec } from "../api/request-spec.ts";

/** A node that a lease stands on. */
export interface LeaseNode {
  /** On the server, chroot included. */
  readonly path: string;
  /** The same as the caller wrote it, for errors. */
  readonly shownPath?: string;
  /** The version that it must have; −1 for any. */
  readonly version: number;
}

/**
 * A write that goes through the quorum and changes nothing: a multi without operations, or one that only checks that
 * the node is there. Its answer comes from a server that has applied all that was before it, the end of the session
 * included, which closes the connection. Gives why it was refused, `undefined` where it was not.
 */
export function renewalSpec(node: LeaseNode | undefined): RequestSpec<ZooKeeperError | undefined> {
  const operation = operations.multi;
  const parts: MultiPart[] =
    node === undefined ? [] : [{ kind: "check", path: node.path, version: node.version }];
  const spec = requestSpec(operation, parts, node?.path);
  return {
    operation,
    ...(node === undefined ? {} : { path: node.path, shownPath: node.shownPath }),
    encode: (writer) => spec.encode(writer, false),
    decode(reader, header) {
      const answers = spec.decode(reader, header);
      if (answers.length !== parts.length) {
        throw new ProtocolError(
          "EVH_PROTOCOL",
          `cannot read the answer to a renewal: found ${answers.length} results, expected ${parts.length}`,
        );
      }
      const refused = answers.find((answer) => answer.kind === "error");
      if (refused === undefined) return undefined;
      return refusedError(
        { operation, path: node?.path, shownPath: node?.shownPath },
        refused.errorCode,
      );
    },
  };
}
