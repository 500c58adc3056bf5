import { EverholdError } from "@everhold/base";
import type { Claims, SharedDisk } from "@everhold/env";
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
import { messageOf } from "../group-access.ts";
import { ClaimWatches } from "./claim-watches.ts";
import type { GroupDocument } from "./group-document.ts";
import { GroupFolder, type LocalPorts, type Revision } from "./group-folder.ts";
import { LocalUpkeep } from "./local-upkeep.ts";
import { closedError, Presence } from "./presence.ts";

/** What a coordinator on one machine is made of. */
export interface LocalCoordinatorOptions {
  readonly ports: LocalPorts;
  /** The group's folder, which all members share and nothing else is in. */
  readonly disk: SharedDisk;
  /** The claims of the same folder. */
  readonly claims: Claims;
  readonly groupId: string;
  readonly listener: CoordinatorListener;
}

/**
 * Settles who leads a group whose members all run on one machine, by files in a folder. No process serves the others:
 * each of them may be killed at any time, and the others go on.
 */
export class LocalCoordinator implements Coordinator {
  readonly #ports: LocalPorts;
  readonly #folder: GroupFolder;
  readonly #watches: ClaimWatches;
  readonly #presence: Presence;
  readonly #upkeep: LocalUpkeep;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  /** Begins to look after the folder, and to tell the listener. */
  constructor({ ports, disk, claims, groupId, listener }: LocalCoordinatorOptions) {
    const closing = this.#closing.signal;
    this.#ports = ports;
    const folder = (this.#folder = new GroupFolder({ ports, disk, groupId, closing }));
    const watches = (this.#watches = new ClaimWatches(claims, () => this.#upkeep.wake()));
    const presence = (this.#presence = new Presence({ ports, folder, claims, watches, closing }));
    this.#upkeep = new LocalUpkeep({
      ...{ ports, folder, watches, listener, closing },
      restore: (revision) => presence.restore(revision),
    });
    this.#upkeep.start();
  }

  /** As the port says. What can't be read, or is another group's, is `unreadable`. @throws EverholdError EVH_CLOSED */
  async read(): Promise<StateRead> {
    this.#checkOpen();
    try {
      const found = await this.#folder.read();
      this.#checkOpen();
      if (found === undefined) return { kind: "absent" };
      const { created, document } = found;
      const { version, state } = document;
      if (state === null) return { kind: "absent" };
      return { kind: "state", known: { created, version, state } };
    } catch (error) {
      this.#checkOpen();
      if (!(error instanceof Error)) throw error;
      return { kind: "unreadable", error };
    }
  }

  /** As the port says. @throws EverholdError EVH_CLOSED, what the folder could not be read or written for, or with an unknown outcome */
  async create(state: GroupState): Promise<boolean> {
    this.#checkOpen();
    const result = await this.#change(({ document }) => {
      if (document.state !== null) return undefined;
      return { ...document, version: 0, state, live: null };
    });
    if (result !== "unknown") return result === "done";
    const message = `Cannot tell whether the group in ${this.#folder.location} was made`;
    throw new EverholdError("EVH_IO", message, { outcome: "unknown" });
  }

  /**
   * As the port says. `conflict`: nothing was written, because the state is another one, or the folder could not be read
   * or written, or others came first for ten seconds. `unknown`: the file was there, and may not have got its name.
   */
  async request(kind: RequestKind, next: KnownState): Promise<RequestResult> {
    const { created, version, state } = next;
    if (this.#closing.signal.aborted) return "conflict";
    const self = kind === "promote" ? state.live : undefined;
    if (self === null) return "conflict";
    try {
      const claim = self && (await this.#presence.stand(self, state.epoch));
      return await this.#change(({ created: found, document }) => {
        if (document.state === null || found !== created) return undefined;
        if (document.version !== version) return undefined;
        const live = claim === undefined ? document.live : { claim, epoch: state.epoch };
        return { ...document, version: version + 1, state, live };
      });
    } catch (error) {
      this.#ports.log.warn("Group's state was not written", {
        ...{ folder: this.#folder.location, request: kind, error: messageOf(error) },
      });
      return "conflict";
    }
  }

  /** As the port says. One member in a coordinator. @throws as {@link Presence.register} */
  async register(address: MemberAddress): Promise<void> {
    this.#checkOpen();
    await this.#presence.register(address);
    this.#upkeep.wake();
  }

  /** As the port says. What is being written is written, or not, before it is done. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }
  async #close(): Promise<void> {
    this.#closing.abort();
    this.#watches.stop();
    await this.#upkeep.stop();
    await this.#presence.giveBack();
  }

  async #change(update: (revision: Revision) => GroupDocument | undefined): Promise<RequestResult> {
    try {
      return await this.#folder.change(update);
    } finally {
      this.#upkeep.wake();
    }
  }

  /** @throws EverholdError EVH_CLOSED */
  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw closedError(this.#folder);
  }
}
