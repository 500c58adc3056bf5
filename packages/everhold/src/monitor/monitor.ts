import { createHash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

import { EverholdError } from "@everhold/base";
import type { Endpoint, Log } from "@everhold/env";
import { readySuccessors } from "@everhold/member";

import { limits } from "../limits.ts";
import { metricsText } from "./metrics.ts";
import type { MonitorSource } from "./monitor-source.ts";

/** What a {@link Monitor} needs. */
export interface MonitorOptions {
  readonly endpoint: Endpoint;
  /** Who gives it may hand over; undefined: nobody may. */
  readonly token: string | undefined;
  readonly version: string;
  readonly log: Log;
}

type SourceMember = NonNullable<MonitorSource["member"]>;

interface Answer {
  readonly status: number;
  readonly body: object | string;
}

/**
 * What operators and their programs ask over HTTP, of a broker that serves and of one that waits:
 *
 * - `GET /livez`: the process answers. `GET /readyz`: clients are let in; 503 where not, as with a healthy backup.
 * - `GET /metrics`: in the format of Prometheus. `GET /ha/status`: what this member of a group is, and how far.
 * - `POST /ha/hand-over?to=NAME`, with `Authorization: Bearer TOKEN`: gives way to that member.
 * - `POST /ha/promote-uncleanly?created=…&version=…`, with the token: leads although it may lack what is committed.
 *
 * Nobody who asks can hold anything up: connections, their time and their bytes are bounded.
 */
export class Monitor {
  readonly #options: MonitorOptions;
  readonly #server: Server;
  #source: MonitorSource | undefined;

  private constructor(options: MonitorOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        requestTimeout: limits.monitorRequestMsMax,
        headersTimeout: limits.monitorRequestMsMax,
        keepAliveTimeout: limits.monitorIdleMsMax,
        maxHeaderSize: limits.monitorHeaderBytesMax,
        connectionsCheckingInterval: 1000,
      },
      (request, response) => this.#answer(request, response),
    );
    this.#server.maxConnections = limits.monitorConnectionsMax;
  }

  /** Listens. @throws EverholdError EVH_PORT_IN_USE, EVH_IO */
  static async start(options: MonitorOptions): Promise<Monitor> {
    const monitor = new Monitor(options);
    const { host, port } = options.endpoint;
    const server = monitor.#server;
    server.listen(port, host);
    try {
      await once(server, "listening");
    } catch (error) {
      const isUsed = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
      const problem = error instanceof Error ? error.message : String(error);
      throw new EverholdError(
        isUsed ? "EVH_PORT_IN_USE" : "EVH_IO",
        `the monitor cannot listen on ${host}:${port}: ${problem}`,
        { cause: error },
      );
    }
    server.on("error", (error) => {
      options.log.warn("The monitor has a problem", { problem: error.message });
    });
    options.log.info("The monitor listens", { url: monitor.url });
    return monitor;
  }

  /** Where it listens. */
  get url(): string {
    const address = this.#server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { host } = this.#options.endpoint;
    return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  }

  /** From now on it tells of this; before, of a broker that starts. */
  use(source: MonitorSource): void {
    this.#source = source;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server, "close");
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    // Nobody has to send a body, and one that comes is not read.
    request.resume();
    const { status, body } = this.#answerTo(request);
    const isText = typeof body === "string";
    const bytes = Buffer.from(isText ? body : `${JSON.stringify(body)}\n`);
    response.writeHead(status, {
      "content-type": isText ? "text/plain; version=0.0.4; charset=utf-8" : "application/json",
      "content-length": bytes.length,
      "cache-control": "no-store",
    });
    response.end(request.method === "HEAD" ? undefined : bytes);
  }

  #answerTo(request: IncomingMessage): Answer {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://monitor");
    const isRead = request.method === "GET" || request.method === "HEAD";
    const source = this.#source;
    switch (pathname) {
      case "/livez":
        return isRead ? { status: 200, body: { live: true } } : wrongMethod("GET");
      case "/readyz":
        return isRead ? this.#readiness() : wrongMethod("GET");
      case "/metrics":
        if (!isRead) return wrongMethod("GET");
        return { status: 200, body: metricsText(source ?? starting, this.#options.version) };
      case "/ha/status":
        return isRead ? this.#status() : wrongMethod("GET");
      case "/ha/hand-over":
        if (request.method !== "POST") return wrongMethod("POST");
        return this.#commanded(request, (member) => this.#handOver(member, searchParams.get("to")));
      case "/ha/promote-uncleanly":
        if (request.method !== "POST") return wrongMethod("POST");
        return this.#commanded(request, (member) => this.#promote(member, searchParams));
      default:
        return refused(
          404,
          `there is no ${pathname}: expected /livez, /readyz, /metrics, /ha/status, /ha/hand-over or /ha/promote-uncleanly`,
        );
    }
  }

  #readiness(): Answer {
    const source = this.#source;
    const ready = source?.isServing === true;
    const role = source?.member?.status.role ?? (source === undefined ? "starting" : "alone");
    return { status: ready ? 200 : 503, body: { ready, role } };
  }

  #status(): Answer {
    const source = this.#source;
    const { version } = this.#options;
    if (source === undefined) return refused(503, "the broker is starting");
    const { member, isServing, connectionCount } = source;
    if (member === undefined) return refused(404, "this broker is no member of a group");
    const { group, status } = member;
    return { status: 200, body: { group, version, connectionCount, ...status, isServing } };
  }

  /** Does what only who has the token may have done. */
  #commanded(request: IncomingMessage, command: (member: SourceMember) => Answer): Answer {
    const { token } = this.#options;
    const { authorization } = request.headers;
    if (token === undefined) {
      return refused(403, "nobody may command by the monitor: its configuration has no token");
    }
    if (authorization === undefined || !isSame(authorization, `Bearer ${token}`)) {
      return refused(401, "expected the monitor's token as Authorization: Bearer TOKEN");
    }
    const member = this.#source?.member;
    if (member === undefined) return refused(409, "this broker is no member of a group, or starts");
    return command(member);
  }

  #promote(member: SourceMember, query: URLSearchParams): Answer {
    const { id, role, node, inSync, endPosition, commitPosition } = member.status;
    const version = Number(query.get("version") ?? Number.NaN);
    if (node === undefined || query.get("created") !== node.created || version !== node.version) {
      const now = node === undefined ? "it is not known" : `it is ${node.created} ${node.version}`;
      return refused(
        409,
        `the group's node is another one than the operator saw: ${now}; look again`,
      );
    }
    if (role !== "backup") return refused(409, `${id} is no backup but ${role}`);
    this.#options.log.warn(
      "An operator has this member lead although it may lack what is committed",
      {
        ...{ member: id, inSync: inSync.join(" "), endPosition, commitPosition },
        ...node,
      },
    );
    member.promoteUncleanly(node.created, node.version);
    return { status: 202, body: { member: id, endPosition, commitPosition } };
  }

  #handOver(member: SourceMember, to: string | null): Answer {
    const { log } = this.#options;
    const { status } = member;
    if (status.role !== "live") {
      return refused(409, `${status.id} does not lead, ${status.live ?? "nobody"} does`);
    }
    const candidates = readySuccessors(status);
    const chosen = to ?? candidates[0];
    if (chosen === undefined || !candidates.includes(chosen)) {
      const lacks = status.inSync.includes(chosen ?? "") ? "linked to the live" : "in sync";
      const found =
        chosen === undefined ? "nobody else is in sync and linked" : `${chosen} is not ${lacks}`;
      return refused(409, `${found}: expected one of ${candidates.join(", ") || "nobody"}`);
    }
    log.info("A hand-over was asked for", { from: status.id, to: chosen });
    member.handOver(chosen);
    return { status: 202, body: { from: status.id, to: chosen, epoch: status.epoch } };
  }
}

const starting: MonitorSource = {
  isServing: false,
  connectionCount: 0,
  health: undefined,
  queues: () => [],
  member: undefined,
};

function wrongMethod(expected: string): Answer {
  return refused(405, `expected ${expected}`);
}

function refused(status: number, problem: string): Answer {
  return { status, body: { error: problem } };
}

/** In a time that does not tell how much of it is right. */
function isSame(found: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(found), digest(expected));
}
