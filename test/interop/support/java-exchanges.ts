import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";

import { Story, type Outcome, type Told } from "#failover";

import { runJava, type JavaClient, type JavaResult } from "./java.ts";

/** How long a program may have exchanges, in ms: all of them, on a machine much slower than any. */
const programMs = 3_600_000;

/** What an exchange is to be like. */
export interface JavaExchange {
  /** Through which proxy, with what parameters. */
  readonly url: string;
  /** Of names that no other exchange has. */
  readonly prefix: string;
  /** Whether messages have duplicate ids, and are sent again until nobody complains. */
  readonly setsIds: boolean;
}

/** A Java program that has exchanges with a broker when it is asked to, some at the same time. */
export class JavaExchanges implements AsyncDisposable {
  readonly #server: Server;
  readonly #running: Promise<JavaResult>;
  readonly #idle: Socket[] = [];
  readonly #waiting: ((socket: Socket) => void)[] = [];
  readonly #lines = new Map<Socket, (line: string) => void>();

  private constructor(server: Server, client: JavaClient, atOnce: number) {
    this.#server = server;
    server.on("connection", (socket) => {
      createInterface({ input: socket }).on("line", (line) => this.#lines.get(socket)?.(line));
      this.#giveBack(socket);
    });
    const address = server.address();
    const port = isAddress(address) ? address.port : 0;
    this.#running = runJava(client, "CutExchanges", [String(port), String(atOnce)], {
      timeoutMs: programMs,
    });
    this.#running.catch(() => undefined);
  }

  static async start(client: JavaClient, atOnce: number): Promise<JavaExchanges> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new JavaExchanges(server, client, atOnce);
  }

  /** Has one, and tells what the program was told. */
  async run({ url, prefix, setsIds }: JavaExchange): Promise<Story> {
    const socket = await this.#take();
    const story = new Story();
    await new Promise<void>((resolve, reject) => {
      socket.once("close", () => reject(new Error("the Java program has ended")));
      this.#lines.set(socket, (line) => {
        if (line === "over") resolve();
        else story.lines.push(toldBy(line));
      });
      socket.write(`${url} ${prefix} ${setsIds ? "ids" : "plain"}\n`);
    });
    socket.removeAllListeners("close");
    this.#giveBack(socket);
    return story;
  }

  /** Ends the program, and tells how it ended. */
  async end(): Promise<JavaResult> {
    this.#server.close();
    for (const socket of this.#lines.keys()) socket.end();
    return this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  #take(): Promise<Socket> {
    const socket = this.#idle.pop();
    if (socket !== undefined) return Promise.resolve(socket);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #giveBack(socket: Socket): void {
    this.#lines.set(socket, () => undefined);
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#idle.push(socket);
    else waiting(socket);
  }
}

/** A line of `CutExchanges.java`. */
function toldBy(line: string): Told {
  const [kind, first = "", second = "", third = "", fourth = ""] = line.split(" ");
  const transaction = (text: string): string | undefined => (text === "-" ? undefined : text);
  switch (kind) {
    case "send":
      return {
        kind,
        text: first,
        isDurable: second === "durable",
        transaction: transaction(third),
        outcome: outcomeOf(fourth),
      };
    case "delivery":
      return { kind, text: first, isRedelivered: second === "true" };
    case "settlement":
      return {
        kind,
        text: first,
        transaction: transaction(second),
        outcome: outcomeOf(third),
      };
    case "end":
      return { kind, transaction: first, outcome: outcomeOf(second), code: third };
    case "call":
      return { kind, name: first, outcome: outcomeOf(second), code: third };
    default:
      throw new Error(`cannot read what the Java program was told: ${line}`);
  }
}

function outcomeOf(text: string): Outcome {
  if (text === "applied" || text === "none" || text === "unknown") return text;
  throw new Error(`cannot read an outcome: ${text}`);
}

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === "object" && address !== null;
}
