import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { runJava, type JavaResult } from "#java";

import { relayProducer, type Plan } from "./plan.ts";
import type { LoadProcess } from "./told-process.ts";

/** The whole load in one process of unmodified Java clients: `Torture.java`, which is told by files. */
export class JavaLoad implements LoadProcess {
  readonly #folder: string;
  readonly #said: string[] = [];
  readonly #running: Promise<JavaResult>;
  readonly #killing = new AbortController();
  #hasEnded = false;
  #wake: () => void = () => undefined;

  constructor(plan: Plan, folder: string, urls: readonly string[]) {
    this.#folder = folder;
    writeFileSync(join(folder, "java-plan.txt"), linesOf(plan).join("\n"));
    // Who comes to a member that just dies waits so long for an answer (docs/GROUPS.md).
    const callTimeoutMs = urls.length > 1 ? 3_000 : 5_000;
    // Of a group not only the live that it knew and the backup that this named (docs/GROUPS.md).
    const forEver =
      urls.length > 1
        ? "reconnectAttempts=10&failoverAttempts=-1&useTopologyForLoadBalancing=false"
        : "reconnectAttempts=-1";
    const url =
      `(${urls.join(",")})?ha=true&${forEver}&initialConnectAttempts=10` +
      `&retryInterval=100&maxRetryInterval=500&blockOnAcknowledge=true&callTimeout=${callTimeoutMs}`;
    const pauseMicroseconds = Math.round((1_000_000 * plan.clients.length) / plan.rate);
    this.#running = runJava("jakarta-2.44", "Torture", [folder, url, String(pauseMicroseconds)], {
      heap: "512M",
      timeoutMs: plan.seconds * 1_000 + 400_000,
      signal: this.#killing.signal,
      onLine: ({ says }) => {
        this.#said.push(String(says));
        this.#wake();
      },
    }).finally(() => {
      this.#hasEnded = true;
      this.#wake();
    });
    // `end()` tells of it.
    this.#running.catch(() => undefined);
  }

  tell(word: string): void {
    writeFileSync(join(this.#folder, word), "");
  }

  async next(limitMs: number): Promise<unknown> {
    const deadlineMs = performance.now() + limitMs;
    while (this.#said.length === 0 && !this.#hasEnded && performance.now() < deadlineMs) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadlineMs - performance.now());
        this.#wake = (): void => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#said.shift();
  }

  async end(limitMs: number): Promise<void> {
    const timer = setTimeout(() => this.#killing.abort(), limitMs);
    const { code, stderr } = await this.#running;
    clearTimeout(timer);
    if (code !== 0) process.stderr.write(stderr.slice(-8_000));
  }
}

function linesOf(plan: Plan): string[] {
  const { clients, addresses, queues } = plan;
  return clients.map(({ address, isTransacted, queue, manner, output }, number) =>
    [
      ...[number, address, addresses[address]?.name, addresses[address]?.routing, isTransacted],
      ...[queue, queues[queue]?.name, manner, output, addresses[output]?.name],
      relayProducer(plan, number),
    ].join(" "),
  );
}
