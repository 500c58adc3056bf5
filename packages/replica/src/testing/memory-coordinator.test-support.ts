import type {
  Coordinator,
  CoordinatorListener,
  GroupState,
  KnownState,
  RequestKind,
  RequestResult,
  StateRead,
} from "@everhold/group";

/** The group's node, and who wants to hear of it. */
export class MemoryNode {
  known: KnownState | undefined;
  readonly members = new Set<MemoryCoordinator>();
  created = 0;

  changed(): void {
    for (const member of this.members) member.tell();
  }
}

/** What a member sees of the node: it can be cut off, and answers can get lost. */
export class MemoryCoordinator implements Coordinator {
  readonly #node: MemoryNode;
  readonly #later: (step: () => void) => void;
  listener: CoordinatorListener | undefined;
  /** Whether it reaches ZooKeeper. */
  isAway = false;
  /** The answer of the next request is lost, and it is done nevertheless. */
  losesAnswer = false;
  #waiting: (() => void)[] = [];

  constructor(node: MemoryNode, later: (step: () => void) => void) {
    this.#node = node;
    this.#later = later;
    node.members.add(this);
  }

  /** It reaches ZooKeeper again. */
  comeBack(): void {
    this.isAway = false;
    for (const go of this.#waiting.splice(0)) go();
    this.tell();
  }

  tell(): void {
    this.#later(() => {
      if (!this.isAway) this.listener?.onStateMayHaveChanged();
    });
  }

  read(): Promise<StateRead> {
    return new Promise((resolve) => {
      this.#whenThere(() => {
        const { known } = this.#node;
        resolve(known === undefined ? { kind: "absent" } : { kind: "state", known });
      });
    });
  }

  create(state: GroupState): Promise<boolean> {
    if (this.#node.known !== undefined) return Promise.resolve(false);
    this.#node.created += 1;
    this.#node.known = { created: String(this.#node.created), version: 0, state };
    this.#node.changed();
    return Promise.resolve(true);
  }

  request(_kind: RequestKind, next: KnownState): Promise<RequestResult> {
    return new Promise((resolve) => {
      this.#whenThere(() => {
        const { known } = this.#node;
        const fits = known?.created === next.created && known.version === next.version;
        if (fits) {
          this.#node.known = { ...next, version: next.version + 1 };
          this.#node.changed();
        }
        const result = fits ? "done" : "conflict";
        resolve(this.losesAnswer ? "unknown" : result);
        this.losesAnswer = false;
      });
    });
  }

  register(): Promise<void> {
    return Promise.resolve();
  }

  /** Its process is gone. */
  leave(): void {
    this.#node.members.delete(this);
  }

  close(): Promise<void> {
    this.leave();
    return Promise.resolve();
  }

  #whenThere(work: () => void): void {
    this.#later(() => {
      if (this.isAway) this.#waiting.push(() => this.#whenThere(work));
      else work();
    });
  }
}
