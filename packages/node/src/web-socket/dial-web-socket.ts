import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { ConnectAttempt, ConnectHandler, Endpoint } from "@everhold/env";
import { WebSocket } from "ws";
import { limits } from "../limits.ts";
import { NodeLink } from "../link.ts";
import { connectError, endpointText } from "../network-error.ts";
import { WebSocketCarrier } from "./web-socket-carrier.ts";

/** Tries once to open a WebSocket over a socket that `openSocket` makes. */
export function dialWebSocket(
  endpoint: Endpoint,
  attempt: ConnectHandler,
  openSocket: (endpoint: Endpoint) => Socket,
): ConnectAttempt {
  const socket = openSocket(endpoint);
  const webSocket = new WebSocket(addressOf(endpoint), {
    // Also within TLS: the socket speaks it already.
    createConnection: () => socket,
    perMessageDeflate: false,
    maxPayload: limits.webSocketAnswerBytesMax,
  });
  let over = false;
  const fail = (error: Error): void => {
    if (over) return;
    over = true;
    socket.destroy();
    attempt.onFailed(connectError(endpoint, error));
  };
  webSocket.on("unexpected-response", (_request, response) => {
    refusal(response).then(fail, fail);
  });
  webSocket.once("error", fail);
  webSocket.once("open", () => {
    if (over) return;
    over = true;
    webSocket.off("error", fail);
    const link = new NodeLink(socket, endpointText(endpoint));
    link.carryBy(new WebSocketCarrier(webSocket, socket, link, () => undefined));
    link.attachTo(attempt.onConnected(link));
  });
  return {
    cancel: () => {
      if (over) return;
      over = true;
      // What `ws` has to say about it is of no interest any more.
      webSocket.on("error", () => undefined);
      socket.destroy();
    },
  };
}

function addressOf({ host, port, webSocket }: Endpoint): string {
  const path = webSocket?.path ?? "/";
  return `ws://${endpointText({ host, port })}${path.startsWith("/") ? "" : "/"}${path}`;
}

/** What an HTTP server said instead of letting us in. */
async function refusal(response: IncomingMessage): Promise<Error> {
  let text = "";
  try {
    for await (const chunk of response.setEncoding("utf8")) {
      text += String(chunk);
      if (text.length >= limits.shownCharsMax) break;
    }
  } catch {
    // It ended before its end; the status says enough.
  }
  const { statusCode, statusMessage } = response;
  const said = text.slice(0, limits.shownCharsMax).trim();
  return new Error(
    `no WebSocket was opened, the answer is ${statusCode} ${statusMessage}${said === "" ? "" : `: ${said}`}`,
  );
}
