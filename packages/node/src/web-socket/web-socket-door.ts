import { createServer, STATUS_CODES, type IncomingMessage, type Server } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { RepeatedLine } from "@everhold/base";
import type { Log, WebSocketUse } from "@everhold/env";
import { WebSocketServer, type WebSocket } from "ws";
import { limits } from "../limits.ts";
import { reasonOf, systemCodeOf } from "../system-error.ts";
import type { Entrant } from "./entrant.ts";
import { OriginRules } from "./origin-rules.ts";

/** The subprotocol that clients may ask for. Artemis knows none for CORE, so ours ask for none. */
const subprotocol = "core";

/**
 * Lets those into an acceptor who come by HTTP and ask for a WebSocket. All else that is HTTP gets an answer that
 * says what this is, and goes. Whoever stands here is one of the broker's strangers, like all who have not sent a
 * packet: it bounds their number and time.
 *
 *     first byte of HTTP ──> head ──> upgraded ──> WebSocketCarrier
 *                             └─ anything else ──> answered, closed
 */
export class WebSocketDoor {
  readonly #origins: OriginRules;
  /** Only parses and answers: it listens nowhere, sockets are handed to it. */
  readonly #http: Server;
  readonly #upgrades: WebSocketServer;
  readonly #entrants = new WeakMap<Duplex, Entrant>();
  readonly #refusals: RepeatedLine | undefined;
  readonly #faults: RepeatedLine | undefined;

  constructor(use: WebSocketUse, log: Log | undefined) {
    this.#origins = new OriginRules(use.origins);
    const burst = limits.handshakeFailureLinesBurst;
    this.#refusals = log && new RepeatedLine(log, "A request over HTTP was refused", burst);
    this.#faults =
      log && new RepeatedLine(log, "A WebSocket was closed for what came in it", burst);
    this.#http = createServer({ maxHeaderSize: limits.requestHeadBytesMax });
    this.#upgrades = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: limits.webSocketMessageBytesMax,
      handleProtocols: (offered) => offered.has(subprotocol) && subprotocol,
    });
    this.#http.on("upgrade", (request, socket, head) => this.#onUpgrade(request, socket, head));
    this.#http.on("request", (request, response) => {
      response.shouldKeepAlive = false;
      this.#refuse(request.socket, {
        status: 426,
        reason: `found ${shown(request.method)} without an upgrade, expected one to a WebSocket`,
      });
    });
    this.#http.on("clientError", (error, socket) => this.#onBadRequest(error, socket));
    this.#upgrades.on("wsClientError", (error, socket) => {
      this.#refuse(socket, { status: statusOf(error), reason: error.message });
    });
  }

  /** Reads the request of one that waits, with its first bytes still in the socket. */
  admit(socket: Socket, entrant: Entrant): void {
    this.#entrants.set(socket, entrant);
    this.#http.emit("connection", socket);
    // In this very step the parser would meet the bytes before its listeners stand.
    process.nextTick(() => socket.resume());
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const entrant = this.#entrants.get(socket);
    if (entrant === undefined || entrant.isOver) return;
    const refusal = this.#refusalOf(request);
    if (refusal !== undefined) {
      this.#refuse(socket, refusal);
      return;
    }
    this.#upgrades.handleUpgrade(request, socket, head, (webSocket: WebSocket) => {
      entrant.enter(webSocket, (reason) => {
        this.#faults?.note(performance.now(), { peer: entrant.peer, reason });
      });
    });
  }

  #refusalOf({ headers }: IncomingMessage): Refusal | undefined {
    const origin = headers.origin ?? headers["sec-websocket-origin"]?.toString();
    if (!this.#origins.allows(origin)) {
      return {
        status: 403,
        reason: `found a page of ${shown(origin)}, expected one of ${this.#origins.toString()}`,
        cure: "webSocket.origins of the acceptor",
      };
    }
    if (headers.host === undefined) return { status: 400, reason: "found no Host" };
    const offered = headers["sec-websocket-protocol"];
    if (offered === undefined || offered.split(/\s*,\s*/).includes(subprotocol)) return undefined;
    return {
      status: 400,
      reason: `found the subprotocols ${shown(offered)}, expected none, or ${subprotocol}`,
    };
  }

  #onBadRequest(error: Error, socket: Duplex): void {
    // Who leaves in the middle of a head hears nothing any more.
    if (systemCodeOf(error) === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    const isTooLong = systemCodeOf(error) === "HPE_HEADER_OVERFLOW";
    this.#refuse(socket, {
      status: isTooLong ? 431 : 400,
      reason: isTooLong
        ? `found a head of more than ${limits.requestHeadBytesMax} bytes`
        : `found no valid HTTP: ${reasonOf(error)}`,
    });
  }

  /** Answers and closes. */
  #refuse(socket: Duplex, { status, reason, cure }: Refusal): void {
    const entrant = this.#entrants.get(socket);
    if (entrant === undefined || entrant.isOver) return;
    this.#refusals?.note(performance.now(), { peer: entrant.peer, status, reason, cure });
    entrant.leave(answer(status, reason));
  }
}

interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly cure?: string;
}

function statusOf(error: Error): number {
  if (error.message.includes("Version")) return 426;
  return error.message.includes("method") ? 405 : 400;
}

function answer(status: number, reason: string): string {
  const body =
    "This is a message broker that speaks CORE: as it is, or in a WebSocket. " +
    `The request was refused: ${reason}\n`;
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    "Connection: close",
    "Content-Type: text/plain; charset=utf-8",
    "X-Content-Type-Options: nosniff",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(status === 426 ? ["Upgrade: websocket", "Sec-WebSocket-Version: 13"] : []),
    ...(status === 405 ? ["Allow: GET"] : []),
    "",
    body,
  ].join("\r\n");
}

/** What a stranger wrote, short enough to be shown. */
function shown(text: string | undefined): string {
  return JSON.stringify((text ?? "").slice(0, limits.shownCharsMax));
}
