import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";

import { RepeatedLine } from "@everhold/base";
import type { Log, Tls } from "@everhold/env";

import { watchFiles } from "../file-watch.ts";
import { limits } from "../limits.ts";
import { reasonOf } from "../system-error.ts";
import { filesOf, secureContextOptions } from "./tls-material.ts";

/** What an acceptor with TLS tells. */
export interface TlsAcceptorHandler {
  /** A peer has shown what it has to show; application bytes may flow. */
  onSecure(socket: TLSSocket): void;
}

/**
 * A server that speaks TLS. Whoever has not finished the handshake is unknown to the broker, so they are
 * counted here: each has a time limit, and of too many the oldest gives way. Certificates are read again
 * when their files change; what is wrong then is logged, and the ones from before still hold.
 */
export class TlsAcceptor {
  readonly server: Server;
  readonly #tls: Tls;
  readonly #log: Log | undefined;
  readonly #handshaking = new Map<string, Socket>();
  readonly #failures: RepeatedLine | undefined;
  readonly #stopWatching: () => void;

  /** @throws EverholdError EVH_CONFIG; whatever Node finds wrong with the material */
  constructor(
    tls: Tls,
    handler: TlsAcceptorHandler,
    { log, socketOptions }: { readonly log: Log | undefined; readonly socketOptions: object },
  ) {
    this.#tls = tls;
    this.#log = log;
    this.#failures =
      log && new RepeatedLine(log, "A TLS handshake failed", limits.handshakeFailureLinesBurst);
    // Before they are read: what changes in between is noticed.
    this.#stopWatching = watchFiles(filesOf(tls), () => {
      this.#reload();
    });
    this.server = this.#createServer(socketOptions, handler);
    this.server.on("connection", (socket: Socket) => {
      this.#begin(socket);
    });
    this.server.on("tlsClientError", (error, socket) => {
      this.#handshaking.delete(keyOf(socket));
      this.#failed(socket, reasonOf(error));
    });
  }

  #createServer(socketOptions: object, handler: TlsAcceptorHandler): Server {
    const tls = this.#tls;
    try {
      return createServer(
        {
          ...socketOptions,
          ...secureContextOptions(tls),
          requestCert: tls.requestCert ?? false,
          rejectUnauthorized: tls.rejectUnauthorized ?? true,
          handshakeTimeout: limits.handshakeTimeoutMs,
        },
        (socket) => {
          this.#handshaking.delete(keyOf(socket));
          handler.onSecure(socket);
        },
      );
    } catch (error) {
      this.#stopWatching();
      throw error;
    }
  }

  /** Ends handshakes and looks at files no more; connections live on. */
  close(): void {
    this.#stopWatching();
    for (const socket of this.#handshaking.values()) socket.destroy();
    this.#handshaking.clear();
  }

  #begin(socket: Socket): void {
    const key = keyOf(socket);
    this.#handshaking.set(key, socket);
    socket.once("close", () => {
      if (this.#handshaking.get(key) !== socket) return;
      this.#handshaking.delete(key);
      this.#failed(socket, "the peer left in the middle, or its certificate is not trusted here");
    });
    if (this.#handshaking.size <= limits.handshakeCountMax) return;
    for (const [oldestKey, oldest] of this.#handshaking) {
      this.#handshaking.delete(oldestKey);
      oldest.destroy();
      return;
    }
  }

  #failed(socket: Socket, reason: string): void {
    const peer = `${socket.remoteAddress ?? "a peer that has gone"}:${socket.remotePort ?? ""}`;
    this.#failures?.note(performance.now(), { peer, reason });
  }

  #reload(): void {
    const files = filesOf(this.#tls).join(" ");
    try {
      this.server.setSecureContext(secureContextOptions(this.#tls));
      this.#log?.info("The certificates of an acceptor have been renewed", { files });
    } catch (error) {
      this.#log?.error("New certificates cannot be used, so those from before still hold", {
        files,
        reason: reasonOf(error),
      });
    }
  }
}

/** Both of a peer's sockets, the plain one and the one that speaks TLS over it, have the same. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}
