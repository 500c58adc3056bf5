import { connect, createServer, isIP, type Server, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type {
  ConnectAttempt,
  ConnectHandler,
  Endpoint,
  Link,
  LinkHandler,
  Listener,
  Log,
  Network,
} from "@everhold/env";
import { limits } from "./limits.ts";
import { descriptorCountMax } from "./descriptor-count.ts";
import { NodeLink } from "./link.ts";
import { connectError, endpointText, isConnectionRefused, listenError } from "./network-error.ts";
import { TlsAcceptor } from "./tls/tls-acceptor.ts";
import { secureContextOptions } from "./tls/tls-material.ts";
import { HttpEntrance } from "./web-socket/http-entrance.ts";

/**
 * TCP, without Nagle's delay and with keep-alive probes; within TLS and in WebSockets where an endpoint says so.
 */
export class NodeNetwork implements Network {
  readonly linkCountMax?: number;
  readonly #log: Log | undefined;

  /** `log` hears of failed TLS handshakes and of certificates that were renewed. */
  constructor(log?: Log) {
    this.#log = log;
    const descriptorCount = descriptorCountMax();
    if (descriptorCount === undefined) return;
    const reserved = Math.min(limits.reservedDescriptorCount, Math.ceil(descriptorCount / 2));
    this.linkCountMax = descriptorCount - reserved;
  }

  async listen(endpoint: Endpoint, accept: (link: Link) => LinkHandler): Promise<Listener> {
    const { webSocket } = endpoint;
    const entrance = webSocket && new HttpEntrance(webSocket, this.#log);
    const onSocket = (socket: Socket): void => {
      const link = new NodeLink(socket, peerOf(socket));
      link.attach(accept(link), entrance);
    };
    const acceptor = this.#tlsAcceptor(endpoint, onSocket);
    const server = acceptor?.server ?? createServer(socketOptions, onSocket);
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error): void => {
        acceptor?.close();
        reject(listenError(endpoint, error));
      };
      server.once("error", onError);
      const { host, port } = endpoint;
      server.listen({ host, port, backlog: limits.listenBacklogCount }, () => {
        server.off("error", onError);
        resolve();
      });
    });
    return new NodeListener(server, endpoint, acceptor);
  }

  #tlsAcceptor(endpoint: Endpoint, onSecure: (socket: Socket) => void): TlsAcceptor | undefined {
    if (endpoint.tls === undefined) return undefined;
    try {
      return new TlsAcceptor(endpoint.tls, { onSecure }, { log: this.#log, socketOptions });
    } catch (error) {
      throw listenError(endpoint, error);
    }
  }

  connect(endpoint: Endpoint, attempt: ConnectHandler): ConnectAttempt {
    if (endpoint.webSocket !== undefined) return connectWebSocket(endpoint, attempt);
    let socket: Socket;
    try {
      socket = openSocket(endpoint);
    } catch (error) {
      // A port out of range, or a file that is missing, is thrown at once; the attempt fails later all the same.
      const immediate = setImmediate(() => attempt.onFailed(connectError(endpoint, error)));
      return { cancel: () => clearImmediate(immediate) };
    }
    let over = false;
    const onError = (error: Error): void => {
      if (over) return;
      over = true;
      attempt.onFailed(connectError(endpoint, error), isConnectionRefused(error));
    };
    socket.on("error", onError);
    socket.once(endpoint.tls === undefined ? "connect" : "secureConnect", () => {
      if (over) return;
      over = true;
      socket.off("error", onError);
      const link = new NodeLink(socket, endpointText(endpoint));
      link.attach(attempt.onConnected(link));
    });
    return {
      cancel: () => {
        if (over) return;
        over = true;
        socket.destroy();
      },
    };
  }
}

function connectWebSocket(endpoint: Endpoint, attempt: ConnectHandler): ConnectAttempt {
  let underWay: ConnectAttempt | undefined;
  let isCancelled = false;
  import("./web-socket/dial-web-socket.ts")
    .then(({ dialWebSocket }) => {
      if (!isCancelled) underWay = dialWebSocket(endpoint, attempt, openSocket);
    })
    .catch((error: unknown) => {
      if (!isCancelled) attempt.onFailed(connectError(endpoint, error));
    });
  return {
    cancel: () => {
      isCancelled = true;
      underWay?.cancel();
    },
  };
}

const socketOptions = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: limits.keepAliveDelayMs,
} as const;

function openSocket({ host, port, tls }: Endpoint): Socket {
  // A name is resolved at each attempt, and each of its addresses is tried.
  const addresses = {
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: limits.addressAttemptMs,
  } as const;
  if (tls === undefined) return connect({ ...socketOptions, ...addresses, host, port });
  // A name is always asked for: a broker may have several certificates. Addresses are no names there.
  const servername = tls.servername ?? (isIP(host) === 0 ? host : undefined);
  const socket = connectTls({
    ...secureContextOptions(tls),
    ...addresses,
    host,
    port,
    rejectUnauthorized: tls.rejectUnauthorized ?? true,
    ...(servername === undefined ? {} : { servername }),
    ...(tls.checkServerIdentity === undefined
      ? {}
      : { checkServerIdentity: (name, peer) => tls.checkServerIdentity?.(name, peer) }),
  });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, limits.keepAliveDelayMs);
  return socket;
}

class NodeListener implements Listener {
  readonly endpoint: Endpoint;
  readonly #server: Server;
  readonly #acceptor: TlsAcceptor | undefined;
  #closed = false;

  constructor(server: Server, asked: Endpoint, acceptor: TlsAcceptor | undefined) {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : asked.port;
    this.endpoint = { ...asked, port };
    this.#server = server;
    this.#acceptor = acceptor;
    // After listening has begun, an error is one of accepting. The server goes on, and a later connection
    // may succeed. Without descriptors the system's queue of waiting connections is closed, not left.
    server.on("error", () => undefined);
  }

  /** Node's own `close` would wait for all links to end; the port is free as soon as it is called. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#acceptor?.close();
    this.#server.close();
  }
}

function peerOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return "a peer that has gone";
  return endpointText({ host: remoteAddress, port: remotePort });
}
