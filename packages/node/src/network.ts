import { connect, createServer, type Server, type Socket } from "node:net";
import type {
  ConnectAttempt,
  ConnectHandler,
  Endpoint,
  Link,
  LinkHandler,
  Listener,
  Network,
} from "@everhold/env";
import { limits } from "./limits.ts";
import { descriptorCountMax } from "./descriptor-count.ts";
import { NodeLink } from "./link.ts";
import { connectError, endpointText, listenError } from "./network-error.ts";

/** TCP, without Nagle's delay and with keep-alive probes. */
export class NodeNetwork implements Network {
  readonly linkCountMax?: number;

  constructor() {
    const descriptorCount = descriptorCountMax();
    if (descriptorCount === undefined) return;
    const reserved = Math.min(limits.reservedDescriptorCount, Math.ceil(descriptorCount / 2));
    this.linkCountMax = descriptorCount - reserved;
  }

  async listen(endpoint: Endpoint, accept: (link: Link) => LinkHandler): Promise<Listener> {
    const server = createServer(socketOptions, (socket) => {
      const link = new NodeLink(socket, peerOf(socket));
      link.attach(accept(link));
    });
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error): void => reject(listenError(endpoint, error));
      server.once("error", onError);
      const { host, port } = endpoint;
      server.listen({ host, port, backlog: limits.listenBacklogCount }, () => {
        server.off("error", onError);
        resolve();
      });
    });
    return new NodeListener(server, endpoint);
  }

  connect(endpoint: Endpoint, attempt: ConnectHandler): ConnectAttempt {
    const { host, port } = endpoint;
    let socket: Socket;
    try {
      socket = connect({ ...socketOptions, host, port });
    } catch (error) {
      // A port out of range is thrown at once; the attempt fails later all the same, as others do.
      const immediate = setImmediate(() => attempt.onFailed(connectError(endpoint, error)));
      return { cancel: () => clearImmediate(immediate) };
    }
    let over = false;
    const onError = (error: Error): void => {
      if (over) return;
      over = true;
      attempt.onFailed(connectError(endpoint, error));
    };
    socket.on("error", onError);
    socket.once("connect", () => {
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

const socketOptions = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: limits.keepAliveDelayMs,
} as const;

class NodeListener implements Listener {
  readonly endpoint: Endpoint;
  readonly #server: Server;
  #closed = false;

  constructor(server: Server, asked: Endpoint) {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : asked.port;
    this.endpoint = { host: asked.host, port };
    this.#server = server;
    // After listening has begun, an error is one of accepting. The server goes on, and a later connection
    // may succeed. Without descriptors the system's queue of waiting connections is closed, not left.
    server.on("error", () => undefined);
  }

  /** Node's own `close` would wait for all links to end; the port is free as soon as it is called. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#server.close();
  }
}

function peerOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return "a peer that has gone";
  return endpointText({ host: remoteAddress, port: remotePort });
}
