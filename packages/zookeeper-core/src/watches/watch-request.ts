/** A watch that goes along with a read, and tells once. */
export interface WatchRequest {
  /** What it waits for: `data` for getData, `exists` for exists, `children` for getChildren. */
  readonly kind: "data" | "exists" | "children";
  /** Called once: when it fires, or with `closed`. What it throws hurts nobody else. */
  readonly onEvent: (event: WatchEvent) => void;
  /**
   * Whose it is. Of several watches of one kind on one path that are the same owner's, the first is kept, so that
   * reading again and again with the same callback does not pile up. Default: `onEvent` itself.
   */
  readonly owner?: unknown;
}

/** What a watch tells: look again. */
export interface WatchEvent {
  /** `closed`: the client is closed, and the watch tells nothing any more. Only watches that tell once are told so. */
  readonly type: "created" | "deleted" | "dataChanged" | "childrenChanged" | "closed";
  /** The path on the server, chroot included. */
  readonly path: string;
  /**
   * The transaction that brought it about; `undefined` below ZooKeeper 3.9, and where the change was only found
   * after a reconnect.
   */
  readonly zxid: bigint | undefined;
}

/** Changes may have gone unseen by a watch that stays: read again what matters. */
export interface WatchGap {
  readonly type: "gap";
  /** The path that is watched, on the server, chroot included. */
  readonly path: string;
  /**
   * `reconnected`: another server, the same session. `sessionChanged`: another session. `overflow`: more came than
   * was taken out of the watch.
   */
  readonly reason: "reconnected" | "sessionChanged" | "overflow";
}

/**
 * What a watch that stays tells. A change may be told of twice: servers tell again of what a read's watch catches up
 * with after a reconnect, or when a watch that stayed beside it is closed.
 */
export type WatchNotice = WatchEvent | WatchGap;
