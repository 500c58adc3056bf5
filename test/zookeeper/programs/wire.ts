/** A connection to a server, whatever server it is: frames without their lengths. */
export interface Wire {
  send(frame: Uint8Array): void;
  /** The next frame that came; `undefined` when the server has closed the connection. @throws Error when none comes */
  next(): Promise<Uint8Array | undefined>;
  /** Breaks the connection. */
  drop(): void;
}

/** Where programs run: servers whose tree is as empty as that of new ones. */
export interface Target {
  readonly name: string;
  /** 1: a server that stands alone. */
  readonly serverCount: number;
  /** @param server counted from 0, which is the leader */
  connect(server: number): Promise<Wire>;
  /** Called when a program's sessions have ended: the node that it worked below must be gone for the next one. */
  cleanUp(): Promise<void>;
}
