import { EverholdError } from "@everhold/base";
import { deadlineIn } from "@everhold/env";
import type {
  Coordinator,
  CoordinatorListener,
  GroupState,
  KnownState,
  MemberAddress,
  RequestKind,
  RequestResult,
  StateRead,
} from "@everhold/group";
import { accessLists, type Acl, type ZooKeeper } from "@everhold/zookeeper-core";
import { type CoordinatorPorts, type GroupAccess, isRefusal, messageOf } from "./group-access.ts";
import { pathsOf } from "./group-paths.ts";
import { limits } from "./limits.ts";
import { LiveNode } from "./live-node.ts";
import { Registration } from "./registration.ts";
import { StateNode } from "./state-node.ts";
import { Upkeep } from "./upkeep.ts";

/** What a coordinator is made of. */
export interface ZooKeeperCoordinatorOptions {
  readonly ports: CoordinatorPorts;
  /** Stays the caller's, who closes it after the coordinator. For ZooKeeper from 3.6 on. */
  readonly client: ZooKeeper;
  /** What the node `groups` is below. It is made where it is missing. Default `/everhold`. */
  readonly root?: string;
  readonly groupId: string;
  readonly listener: CoordinatorListener;
  /**
   * Who may do what with the nodes that this coordinator makes. `accessLists.creator` for clients with an identity: then
   * all members must have the same one. Default: everybody everything.
   */
  readonly acl?: readonly Acl[];
}

/** Settles who leads a group by a node of ZooKeeper, changed by compare-and-set alone. */
export class ZooKeeperCoordinator implements Coordinator {
  readonly #access: GroupAccess;
  readonly #state: StateNode;
  readonly #live: LiveNode;
  readonly #registration: Registration;
  readonly #upkeep: Upkeep;
  readonly #closing = new AbortController();
  readonly #forgetClient: () => void;
  #closed: Promise<void> | undefined;

  /** Begins to watch, and to tell the listener. @throws EverholdError EVH_CONFIG */
  constructor(options: ZooKeeperCoordinatorOptions) {
    const { ports, client, root = "/everhold", groupId, listener } = options;
    const { acl = accessLists.open } = options;
    const paths = pathsOf(root, groupId);
    this.#access = { ports, client, paths, acl, closing: this.#closing.signal };
    this.#state = new StateNode(this.#access);
    this.#live = new LiveNode(this.#access, this.#state);
    this.#registration = new Registration(this.#access);
    this.#upkeep = new Upkeep(this.#access, listener, {
      members: () => this.#registration.members(),
      restoreLive: () => this.#live.restore(),
    });
    this.#forgetClient = client.on("ensembleRolledBack", ({ lastZxid }) => {
      const fields = { path: paths.group, lastZxid: lastZxid.toString(16) };
      ports.log.error("ZooKeeper is older than it was, as restored from a backup", fields);
    });
    this.#upkeep.start();
  }

  /** As the port says. Without a time limit. @throws EverholdError EVH_CLOSED; what ended the client */
  read(): Promise<StateRead> {
    return this.#state.read();
  }

  /** As the port says. Waits for the connection. @throws EverholdError EVH_CLOSED; ZooKeeperError, see `outcome` */
  create(state: GroupState): Promise<boolean> {
    return this.#state.create(state);
  }

  /**
   * As the port says, of the node that was read last. `conflict`: nothing was written, because the node is another one, or
   * the request was refused, or could not be sent in time; then the version need not have moved. `unknown`: it was sent,
   * and no answer came.
   */
  async request(kind: RequestKind, next: KnownState): Promise<RequestResult> {
    const { ports, client, paths, closing: signal } = this.#access;
    const deadlineMs = deadlineIn(ports, limits.requestMs);
    const timeLeftMs = (): number => Math.max(0, deadlineMs - ports.monotonicClock.nowMs());
    try {
      if (kind === "promote") {
        return (await this.#live.promote(next, timeLeftMs)) ? "done" : "conflict";
      }
      const change = this.#state.change(next);
      if (change === undefined) return "conflict";
      await client.multi(change, { timeout: timeLeftMs(), signal });
      return "done";
    } catch (error) {
      const isRefused = EverholdError.is(error) && error.outcome === "none";
      if (!isRefusal(error, "BADVERSION", "NONODE")) {
        const fields = { path: paths.state, request: kind, error: messageOf(error) };
        ports.log.warn("Group's node was not written, or nobody knows", fields);
      }
      return isRefused ? "conflict" : "unknown";
    }
  }

  /** As the port says. One member in a coordinator. @throws as {@link Registration.register} */
  register(address: MemberAddress): Promise<void> {
    return this.#registration.register(address);
  }

  /** As the port says. A request under way is `unknown`, or a conflict, at once. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#forgetClient();
    this.#closing.abort();
    await this.#upkeep.stop();
    await Promise.all([this.#live.giveBack(), this.#registration.giveBack()]);
  }
}
