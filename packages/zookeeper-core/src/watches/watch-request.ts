/** A watch that goes along with a read. */
export interface WatchRequest {
  /** What it waits for: `data` for getData, `exists` for exists, `children` for getChildren. */
  readonly kind: "data" | "exists" | "children";
  /** Called once, when it fires or when it is certain that it will not. */
  readonly onEvent: (event: WatchEvent) => void;
}

/** What a watch tells. */
export interface WatchEvent {
  readonly type: "created" | "deleted" | "dataChanged" | "childrenChanged";
  /** As the application wrote it, without chroot. */
  readonly path: string;
  /** The transaction that brought it about; `undefined` below ZooKeeper 3.9. */
  readonly zxid: bigint | undefined;
}
