import { operations, specialXids } from "@everhold/zookeeper-core";

import { root } from "./program-values.ts";
import { ProgramSession, type Answer, type Frame, type Greeting } from "./program-session.ts";
import { showFrame, type Names } from "./show-frame.ts";
import type { Program, SeenZxid, Step } from "./step.ts";
import type { Target } from "./wire.ts";

/** What was seen at each step: a line for every frame, and for every connection that ended. */
export type Trace = readonly (readonly string[])[];

/** Runs a program where nothing else happens, and says what its clients saw. */
export async function runProgram(target: Target, program: Program): Promise<Trace> {
  const run = new Run(target);
  try {
    await run.begin();
    const trace: string[][] = [];
    for (const step of program.steps) trace.push(await run.step(step));
    return trace;
  } finally {
    await run.end();
    await target.cleanUp();
  }
}

class Run {
  readonly #target: Target;
  /** One at each server: the first makes the node that the program works below. */
  readonly #attendants: readonly ProgramSession[];
  readonly #sessions = new Map<number, ProgramSession>();
  /** Every session that there was, by its id. */
  readonly #labels = new Map<bigint, string>();
  #lines: string[] = [];
  #startZxid = 0n;

  readonly #names: Names = {
    zxid: (zxid) => (zxid < this.#startZxid ? `${zxid}` : `+${zxid - this.#startZxid}`),
    session: (id) => this.#labels.get(id) ?? `${id}`,
  };

  constructor(target: Target) {
    this.#target = target;
    this.#attendants = Array.from(
      { length: target.serverCount },
      (_, server) => new ProgramSession(target, server),
    );
  }

  async begin(): Promise<void> {
    for (const attendant of this.#attendants) await attendant.open(60_000);
    const acl = [{ permissions: 31, scheme: "world", id: "anyone" }];
    const { create2 } = operations;
    const body = { path: root, data: null, acl, flags: 0 };
    const [first] = this.#attendants;
    const frame = (await first?.request(create2.code, create2.request, body))?.frame;
    if (frame?.header.errorCode !== 0)
      throw new Error(`${this.#target.name} could not make ${root}`);
    this.#startZxid = frame.header.zxid;
    await this.#catchUp();
  }

  async step(step: Step): Promise<string[]> {
    this.#lines = [];
    const session = this.#sessions.get(step.session);
    if (step.kind === "open") await this.#open(step.session, step.timeoutMs);
    else if (session === undefined) this.#lines.push("there is no such session");
    else if (step.kind === "resume") await this.#resume(session, step);
    else if (step.kind === "drop") session.drop();
    else if (this.#isNeverAnswered(step)) this.#lines.push("no follower of 3.9 answers this");
    else if (session.isConnected) await this.#request(session, step);
    else this.#lines.push("there is no connection");
    await this.#ask(isEnd(step));
    return this.#lines;
  }

  async end(): Promise<void> {
    for (const session of this.#sessions.values()) await session.end();
    for (const attendant of this.#attendants) await attendant.end();
  }

  async #open(number: number, timeoutMs: number): Promise<void> {
    if (this.#sessions.get(number)?.isConnected === true) return;
    await this.#sessions.get(number)?.end();
    const session = new ProgramSession(this.#target, number % this.#target.serverCount);
    this.#sessions.set(number, session);
    const greeting = await session.open(timeoutMs);
    this.#labels.set(session.id, `session ${this.#labels.size}`);
    this.#greeted(greeting);
  }

  async #resume(session: ProgramSession, step: Step & { kind: "resume" }): Promise<void> {
    // Where two servers have a connection of one session, what the first one says depends on time.
    const servers = session.isConnected ? session.server : step.session + step.serversOn;
    session.server = servers % this.#target.serverCount;
    const former = session.takeFormer();
    const lastZxid = this.#zxid(step.lastZxid, session);
    const greeting = await session.resume(lastZxid, step.password === "right");
    this.#greeted(greeting);
    // A server that is behind the client looks no further, and the connection from before goes on.
    if (greeting.kind === "closed") session.putBack(former);
    else if (former.isConnected) await this.#ping("former", former, false);
  }

  /** A follower of 3.9 passes on a write that nobody can read, and waits for its number, which it does not get. */
  #isNeverAnswered(step: Step): boolean {
    const isWrite = step.kind === "bytes" && step.code === operations.delete.code;
    return isWrite && this.#target.serverCount > 1;
  }

  #greeted(greeting: Greeting): void {
    if (greeting.kind !== "session") return void this.#lines.push(greeting.kind);
    const { sessionId, timeoutMs } = greeting;
    this.#lines.push(`welcome ${this.#names.session(sessionId)} for ${timeoutMs} ms`);
  }

  async #request(session: ProgramSession, step: Step): Promise<void> {
    const name = step.kind === "request" ? step.operation : step.kind;
    const answer = await this.#send(session, step);
    this.#show(`s${step.session}`, name, answer, isEnd(step));
    // The connection ends behind these answers, a moment later.
    if (answer.frame === undefined || !endsConnection(step, answer.frame)) return;
    this.#showAll(`s${step.session}`, await session.closed(), false);
    this.#lines.push(`s${step.session} closed`);
  }

  #send(session: ProgramSession, step: Step): Promise<Answer> {
    switch (step.kind) {
      case "request":
        return session.send(operations[step.operation].code, step.body);
      case "bytes":
        return session.send(step.code, step.body);
      case "multi":
      case "multiRead": {
        const { code, request } = operations[step.kind];
        return session.request(code, request, step.parts);
      }
      case "setWatches": {
        const { code, request } = operations.setWatches2;
        const relativeZxid = this.#zxid(step.lastZxid, session);
        return session.request(code, request, { relativeZxid, ...step.lists });
      }
      default:
        throw new Error(`${step.kind} is no request`);
    }
  }

  /** Every server has done what any has: a sync goes to the leader and back. */
  async #catchUp(): Promise<void> {
    if (this.#target.serverCount === 1) return;
    const { code, request } = operations.sync;
    for (const attendant of this.#attendants)
      await attendant.request(code, request, { path: root });
  }

  /** Has every connection say what came: a ping is answered behind what was told before. */
  async #ask(isUnordered: boolean): Promise<void> {
    await this.#catchUp();
    for (const [number, session] of this.#sessions) {
      if (session.isConnected) await this.#ping(`s${number}`, session, isUnordered);
    }
  }

  async #ping(who: string, session: ProgramSession, isUnordered: boolean): Promise<void> {
    const answer = await session.send(operations.ping.code, new Uint8Array());
    this.#show(who, "ping", answer, isUnordered);
  }

  #show(who: string, operation: string, answer: Answer, isUnordered: boolean): void {
    this.#showAll(who, answer.before, isUnordered);
    const { frame } = answer;
    const shown = frame === undefined ? "closed" : showFrame(frame, operation, this.#names);
    this.#lines.push(`${who} ${shown}`);
  }

  #showAll(who: string, frames: readonly Frame[], isUnordered: boolean): void {
    const lines = frames.map((frame) => {
      const isTold = frame.header.xid === specialXids.notification;
      return `${who} ${showFrame(frame, isTold ? "told" : "another", this.#names)}`;
    });
    this.#lines.push(...(isUnordered ? lines.toSorted() : lines));
  }

  #zxid(seen: SeenZxid, session: ProgramSession): bigint {
    switch (seen) {
      case "seen":
        return session.seenZxid;
      case "none":
        return 0n;
      case "start":
        return this.#startZxid;
      case "future":
        return this.#startZxid + (1n << 30n);
    }
  }
}

/** Whether a session ends: its nodes go in an order that no server promises. */
function isEnd(step: Step): boolean {
  return step.kind === "request" && step.operation === "closeSession";
}

/** Whether the server closes the connection behind this answer. */
function endsConnection(step: Step, { header }: Frame): boolean {
  if (step.kind === "bytes") return header.errorCode === -6;
  if (step.kind !== "request") return false;
  return step.operation === "closeSession" || (step.operation === "auth" && header.errorCode !== 0);
}
