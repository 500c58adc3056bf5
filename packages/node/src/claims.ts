import { rm } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join, resolve } from "node:path";
import { EverholdError } from "@everhold/base";
import type { Claim, Claims, ClaimWatch, ClaimWatcher } from "@everhold/env";
import { makeFolders } from "./disk.ts";
import { limits } from "./limits.ts";
import { reasonOf, systemCodeOf } from "./system-error.ts";

/**
 * Claims as unix domain sockets in a folder: the system takes the socket of a process that ends, and of no other, so
 * who connects to its file learns whether it is there. That holds between containers that share the folder, too.
 */
export class NodeClaims implements Claims {
  readonly #folder: string;

  /** The folder is made when it does not exist. */
  constructor(options: { readonly folder: string }) {
    this.#folder = resolve(options.folder);
  }

  async make(name: string): Promise<Claim> {
    const path = this.#pathOf(name);
    const found = Buffer.byteLength(path);
    if (found > limits.claimPathBytesMax) {
      throw new EverholdError(
        "EVH_CONFIG",
        `cannot listen at ${path}: found ${found} bytes, at most ${limits.claimPathBytesMax} are allowed; ` +
          "choose a folder with a shorter path",
      );
    }
    try {
      await makeFolders(this.#folder);
      return await NodeClaim.make(path);
    } catch (cause) {
      const message = `cannot listen at ${path}: ${reasonOf(cause)}`;
      throw new EverholdError("EVH_IO", message, { cause });
    }
  }

  watch(name: string, watcher: ClaimWatcher): ClaimWatch {
    return new NodeClaimWatch(this.#pathOf(name), watcher);
  }

  #pathOf(name: string): string {
    return join(this.#folder, `${name}.claim`);
  }
}

class NodeClaim implements Claim {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      // Who watches says nothing, and may go as it likes.
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.resume();
    });
  }

  static async make(path: string): Promise<NodeClaim> {
    const server = createServer();
    const claim = new NodeClaim(server);
    await new Promise<void>((onListening, onError) => {
      server.once("error", onError);
      server.listen({ path, backlog: limits.listenBacklogCount }, () => {
        server.off("error", onError);
        onListening();
      });
    });
    // Who could not be accepted, for want of descriptors, tries again.
    server.on("error", () => undefined);
    return claim;
  }

  async release(): Promise<void> {
    const closed = new Promise<void>((onClosed) => this.#server.close(() => onClosed()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

class NodeClaimWatch implements ClaimWatch {
  readonly #path: string;
  readonly #watcher: ClaimWatcher;
  #socket: Socket | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isToldHeld = false;
  #isStopped = false;

  constructor(path: string, watcher: ClaimWatcher) {
    this.#path = path;
    this.#watcher = watcher;
    this.#connect();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    this.#socket?.destroy();
  }

  /** Connects, and learns from the end of the connection that the process may have ended. */
  #connect(): void {
    const socket = (this.#socket = connect({ path: this.#path }));
    let code: string | undefined;
    socket.on("error", (error) => (code = systemCodeOf(error)));
    socket.on("connect", () => {
      if (this.#isToldHeld || this.#isStopped) return;
      this.#isToldHeld = true;
      this.#watcher.onHeld();
    });
    socket.on("close", () => this.#onClosed(code));
    socket.resume();
  }

  #onClosed(code: string | undefined): void {
    if (this.#isStopped) return;
    if (code !== "ENOENT" && code !== "ECONNREFUSED") {
      this.#retry = setTimeout(() => this.#connect(), limits.claimRetryMs);
      return;
    }
    // What a process that was killed has left, if anything. Its name is not used again.
    rm(this.#path, { force: true }, () => {
      if (!this.#isStopped) this.#watcher.onGone();
    });
  }
}
