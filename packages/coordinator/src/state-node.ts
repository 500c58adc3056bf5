import { ProtocolError } from "@everhold/base";
import {
  decodeGroupState,
  encodeGroupState,
  type GroupState,
  type KnownState,
  type StateRead,
} from "@everhold/group";
import { childOf, type MultiOperation, ops } from "@everhold/zookeeper-core";
import {
  type GroupAccess,
  hasEnded,
  isRefusal,
  type Patience,
  patienceOf,
  untilAnswered,
} from "./group-access.ts";

const markPrefix = "made-";

/**
 * The group's node, the only truth about who may lead.
 *
 * A node that is deleted and made again has the version 0 again, and ZooKeeper compares nothing but versions. So the node
 * has a child of a random name, its mark, which is made together with it, and every change is one multi that also checks
 * that the mark is there: it belongs to this node and to none before or after it.
 */
export class StateNode {
  readonly #access: GroupAccess;
  /** Of the node that was read last. */
  #made: { readonly created: string; readonly mark: string } | undefined;

  constructor(access: GroupAccess) {
    this.#access = access;
  }

  /** As `Coordinator.read`. */
  async read(): Promise<StateRead> {
    try {
      return await untilAnswered(this.#access, (patience) => this.#read(patience));
    } catch (error) {
      if (isRefusal(error, "NONODE")) return { kind: "absent" };
      const { closing, client } = this.#access;
      if (closing.aborted || hasEnded(client) || !(error instanceof Error)) throw error;
      return { kind: "unreadable", error };
    }
  }

  /** As `Coordinator.create`. */
  async create(state: GroupState): Promise<boolean> {
    const { client, paths, acl } = this.#access;
    const data = encodeGroupState(state);
    await untilAnswered(this.#access, (patience) => this.#makeGroup(patience));
    try {
      const mark = childOf(paths.state, this.#newMark());
      await client.multi(
        [ops.create(paths.state, data, { acl }), ops.create(mark, "", { acl })],
        patienceOf(this.#access),
      );
      return true;
    } catch (error) {
      if (isRefusal(error, "NODEEXISTS")) return false;
      throw error;
    }
  }

  /** What a multi begins with that changes the node; `undefined` where that is not the node that was read last. */
  change({ created, version, state }: KnownState): readonly MultiOperation<unknown>[] | undefined {
    const check = this.#checkOf(created);
    const { paths } = this.#access;
    return check && [check, ops.setData(paths.state, encodeGroupState(state), { version })];
  }

  /** What a multi begins with that is to happen only while the node is as it is known; `undefined` as above. */
  unchanged({ created, version }: KnownState): readonly MultiOperation<unknown>[] | undefined {
    const check = this.#checkOf(created);
    return check && [check, ops.check(this.#access.paths.state, { version })];
  }

  async #read(patience: Patience): Promise<StateRead> {
    const { client, paths } = this.#access;
    for (;;) {
      const { data, stat } = await client.getData(paths.state, { ...patience, fresh: true });
      const { children, stat: later } = await client.getChildren(paths.state, patience);
      // Made again in between: the mark would be that of another node.
      if (later.czxid !== stat.czxid) continue;
      const mark = children.find((name) => name.startsWith(markPrefix));
      if (mark === undefined) return { kind: "unreadable", error: withoutMark(paths.state) };
      const created = BigInt.asUintN(64, stat.czxid).toString(16);
      this.#made = { created, mark };
      const state = decodeGroupState(data ?? new Uint8Array(0));
      return { kind: "state", known: { created, version: stat.version, state } };
    }
  }

  async #makeGroup(patience: Patience): Promise<void> {
    const { client, paths, acl } = this.#access;
    try {
      await client.create(paths.group, "", { ...patience, acl, parents: true });
    } catch (error) {
      if (!isRefusal(error, "NODEEXISTS")) throw error;
    }
  }

  #checkOf(created: string): MultiOperation<unknown> | undefined {
    if (this.#made?.created !== created) return undefined;
    return ops.check(childOf(this.#access.paths.state, this.#made.mark));
  }

  #newMark(): string {
    const bytes = new Uint8Array(16);
    this.#access.ports.random.fill(bytes);
    return markPrefix + [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}

function withoutMark(path: string): ProtocolError {
  return new ProtocolError(
    "EVH_NODE_FORMAT",
    `Cannot trust ${path}: found no child ${markPrefix}…, expected the one that is made together with the node; ` +
      "delete the node, and let Everhold make the group anew",
  );
}
