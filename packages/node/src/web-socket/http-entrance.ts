import type { Socket } from "node:net";
import type { Log, WebSocketUse } from "@everhold/env";
import type { NodeLink, Porter } from "../link.ts";
import { Entrant } from "./entrant.ts";
import type { WebSocketDoor } from "./web-socket-door.ts";

/**
 * Sees by the first byte of a connection whether it is HTTP, and leads it to the door. Node's HTTP and `ws` are
 * loaded for the first of them: most brokers never meet one.
 */
export class HttpEntrance implements Porter {
  readonly #use: WebSocketUse;
  readonly #log: Log | undefined;
  #door: Promise<WebSocketDoor> | undefined;

  constructor(use: WebSocketUse, log: Log | undefined) {
    this.#use = use;
    this.#log = log;
  }

  takes(socket: Socket, link: NodeLink, firstBytes: Uint8Array): boolean {
    if (!isHttp(firstBytes)) return false;
    socket.pause();
    socket.unshift(firstBytes);
    const entrant = new Entrant(socket, link);
    link.carryBy(entrant);
    this.#door ??= this.#load();
    this.#door
      .then((door) => {
        if (!entrant.isOver) door.admit(socket, entrant);
      })
      .catch((error: unknown) => socket.destroy(asError(error)));
    return true;
  }

  async #load(): Promise<WebSocketDoor> {
    const { WebSocketDoor } = await import("./web-socket-door.ts");
    return new WebSocketDoor(this.#use, this.#log);
  }
}

/**
 * Whether it begins like a method of HTTP: GET, HEAD, POST, PUT, PATCH, OPTIONS, DELETE, TRACE. CORE begins with
 * an A, or with the length of a frame, which would be above 1 GiB; C and S may be STOMP.
 */
function isHttp(bytes: Uint8Array): boolean {
  return bytes.length > 0 && "GHPODT".includes(String.fromCharCode(bytes[0] ?? 0));
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
