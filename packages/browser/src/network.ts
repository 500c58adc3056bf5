import { ConnectionError, EverholdError } from "@everhold/base";
import { formatEndpoint } from "@everhold/client";
import type {
  ConnectAttempt,
  ConnectHandler,
  Endpoint,
  Link,
  LinkHandler,
  Listener,
  Network,
} from "@everhold/env";
import { HiddenPageClock } from "./hidden-page-clock.ts";
import type { BrowserTimers } from "./timers.ts";
import { WebSocketLink } from "./web-socket-link.ts";

/** WebSockets, the only connections that a page can have. While there are any, timers run in a hidden page too. */
export class BrowserNetwork implements Network {
  readonly #timers: BrowserTimers;
  #socketCount = 0;
  #clock: HiddenPageClock | undefined;

  constructor(timers: BrowserTimers) {
    this.#timers = timers;
  }

  listen(_endpoint: Endpoint, _accept: (link: Link) => LinkHandler): Promise<Listener> {
    return Promise.reject(new EverholdError("EVH_CONFIG", "cannot listen: found a browser"));
  }

  connect(endpoint: Endpoint, attempt: ConnectHandler): ConnectAttempt {
    const url = formatEndpoint(endpoint);
    let socket: WebSocket;
    try {
      socket = new WebSocket(url);
    } catch (cause) {
      // A page that came by https may open no ws:// address, and some ports are closed to all pages.
      const timer = this.#timers.after(0, () => attempt.onFailed(connectError(url, cause)));
      return timer;
    }
    socket.binaryType = "arraybuffer";
    this.#begin();
    let isOver = false;
    const onClosed = (): void => {
      if (isOver) return;
      isOver = true;
      this.#end();
      attempt.onFailed(connectError(url, undefined));
    };
    socket.addEventListener("close", onClosed);
    socket.addEventListener("open", () => {
      if (isOver) return;
      isOver = true;
      socket.removeEventListener("close", onClosed);
      const { host } = new URL(url);
      const link = new WebSocketLink(socket, {
        peer: host,
        timers: this.#timers,
        onOver: () => this.#end(),
      });
      link.attach(attempt.onConnected(link));
    });
    return {
      cancel: () => {
        if (isOver) return;
        isOver = true;
        this.#end();
        socket.close();
      },
    };
  }

  #begin(): void {
    this.#socketCount += 1;
    this.#clock ??= new HiddenPageClock(() => this.#timers.catchUp());
  }

  #end(): void {
    this.#socketCount -= 1;
    if (this.#socketCount > 0) return;
    this.#clock?.stop();
    this.#clock = undefined;
  }
}

/** A browser tells a page nothing about why: it could learn about networks that are none of its business. */
function connectError(url: string, cause: unknown): ConnectionError {
  const reason =
    cause instanceof Error
      ? cause.message
      : "nothing listens there, its certificate is not trusted, or it refuses pages of this " +
        "origin; the broker's log and the browser's console may say more";
  return new ConnectionError("EVH_NOT_CONNECTED", `cannot connect to ${url}: ${reason}`, { cause });
}
