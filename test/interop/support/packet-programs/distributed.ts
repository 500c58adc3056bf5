import { packets } from "@everhold/wire";

import type { PacketProgram } from "../packet-comparison.ts";
import type { PacketScript, SessionScript } from "../packet-script.ts";

const working = { xa: true, autoCommitSends: false, autoCommitAcks: false } as const;

/** What a program may do with its branch. */
type BranchStep = Exclude<keyof BranchScript, "session" | "on">;

/** The requests of a transaction manager about one branch, which no other program has. */
class BranchScript {
  readonly session: SessionScript;
  readonly #xid: { formatId: number; branchQualifier: Uint8Array; globalTransactionId: Uint8Array };

  constructor(session: SessionScript, name = "a") {
    const id = new TextEncoder().encode(`${session.script.prefix}${name}`);
    this.session = session;
    this.#xid = { formatId: 7, branchQualifier: id.slice(-60), globalTransactionId: id.slice(-60) };
  }

  /** The same branch in the hands of another session. */
  on(session: SessionScript): BranchScript {
    return new BranchScript(session);
  }

  /** A session begins the branch, sends a message and ends its work. */
  work(): void {
    this.begin();
    this.send();
    this.end();
  }

  begin(): void {
    this.session.packet(packets.xaStart, { xid: this.#xid });
  }

  join(): void {
    this.session.packet(packets.xaJoin, { xid: this.#xid });
  }

  resume(): void {
    this.session.packet(packets.xaResume, { xid: this.#xid });
  }

  suspend(): void {
    this.session.packet(packets.xaSuspend, {});
  }

  send(text = "sent"): void {
    this.session.publish("q", text, { requiresResponse: false });
  }

  end(): void {
    this.session.packet(packets.xaEnd, { xid: this.#xid, failed: false });
  }

  endFailed(): void {
    this.session.packet(packets.xaEnd, { xid: this.#xid, failed: true });
  }

  prepare(): void {
    this.session.packet(packets.xaPrepare, { xid: this.#xid });
  }

  commit(): void {
    this.session.packet(packets.xaCommit, { xid: this.#xid, onePhase: false });
  }

  commitOnePhase(): void {
    this.session.packet(packets.xaCommit, { xid: this.#xid, onePhase: true });
  }

  rollback(): void {
    this.session.packet(packets.xaRollback, { xid: this.#xid });
  }

  forget(): void {
    this.session.packet(packets.xaForget, { xid: this.#xid });
  }

  query(): void {
    this.session.query("q");
  }
}

/** A session that works for branches, with a queue. */
function branch(script: PacketScript): BranchScript {
  const session = script.session(working);
  session.createQueue("q");
  return new BranchScript(session);
}

/** A program of one session and one branch. */
function inOrder(name: string, steps: readonly BranchStep[]): PacketProgram {
  return {
    name,
    build: (script) => {
      const one = branch(script);
      for (const step of steps) one[step]();
    },
  };
}

/** Branches of distributed transactions: sections 3.6 and 5.10. */
export const distributedPrograms: readonly PacketProgram[] = [
  inOrder("a branch in two phases", ["work", "prepare", "query", "commit", "query"]),
  inOrder("a branch in one phase", ["work", "commitOnePhase", "query", "commitOnePhase"]),
  {
    name: "a branch that is rolled back, prepared or not",
    build: (script) => {
      for (const isPrepared of [false, true]) {
        const session = script.session(working);
        const one = new BranchScript(session, isPrepared ? "prepared" : "active");
        if (!isPrepared) session.createQueue("q");
        one.work();
        if (isPrepared) one.prepare();
        one.rollback();
        one.query();
        one.rollback();
      }
    },
  },
  {
    name: "a session of branches that works for none",
    build: (script) => {
      const one = branch(script);
      one.session.publish("q", "at once");
      one.query();
    },
  },
  inOrder("requests about a branch that is not known", [
    "join",
    "resume",
    "end",
    "prepare",
    "commit",
    "commitOnePhase",
    "rollback",
    "forget",
    "suspend",
  ]),
  inOrder("requests about a branch that the session works for", [
    "begin",
    "send",
    "prepare",
    "commitOnePhase",
    "rollback",
    "resume",
    "end",
    "end",
    "rollback",
    "query",
  ]),
  inOrder("requests about a branch that is suspended", [
    "begin",
    "send",
    "suspend",
    "suspend",
    "join",
    "prepare",
    "commitOnePhase",
    "resume",
    "suspend",
    "end",
    "commitOnePhase",
    "query",
  ]),
  {
    name: "a branch that another session begins again",
    build: (script) => {
      const one = branch(script);
      one.work();
      const other = one.on(script.session(working));
      other.begin();
      other.query();
    },
  },
  {
    name: "a branch that two sessions work for, and a third one decides",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.send("first");
      one.end();
      const other = one.on(script.session(working));
      other.join();
      other.send("second");
      other.end();
      one.prepare();
      one.prepare();
      const third = one.on(script.session(working));
      third.commit();
      third.query();
      third.session.consume(0, "q");
      third.session.start();
    },
  },
  {
    name: "what a prepared branch acknowledged",
    build: (script) => {
      const one = branch(script);
      script.session().publish("q", "order");
      one.begin();
      one.session.consume(0, "q");
      one.session.start();
      one.session.acknowledge(0, 0, false);
      one.end();
      one.prepare();
      const other = script.session(working);
      other.consume(0, "q");
      other.start();
      one.commit();
      one.query();
    },
  },
  {
    name: "a branch whose connection breaks before it is prepared",
    build: (script) => {
      const one = branch(script);
      one.work();
      one.session.connection.drop();
      const other = one.on(script.session(working));
      other.prepare();
      other.query();
    },
  },
  {
    name: "a branch whose connection breaks after it is prepared",
    build: (script) => {
      const one = branch(script);
      one.work();
      one.prepare();
      one.session.connection.drop();
      const other = one.on(script.session(working));
      other.commit();
      other.query();
    },
  },
  inOrder("a branch that did nothing", ["begin", "end", "prepare", "rollback"]),
  {
    name: "a branch that can only be rolled back",
    build: (script) => {
      const one = branch(script);
      const properties = { _AMQ_DUPL_ID: { type: "string", value: "same" } } as const;
      script.session().publish("q", "first", { properties });
      one.begin();
      one.session.publish("q", "second", { properties, requiresResponse: false });
      one.end();
      one.prepare();
    },
  },
  inOrder("a branch whose work failed", [
    "begin",
    "send",
    "endFailed",
    "prepare",
    "rollback",
    "query",
  ]),
  inOrder("a branch in the wrong phase", ["work", "commit"]),
  inOrder("a branch that is committed twice", ["work", "prepare", "commit", "commit"]),
  {
    name: "time limits of branches",
    build: (script) => {
      const { session } = branch(script);
      session.packet(packets.xaGetTimeout, {});
      session.packet(packets.xaSetTimeout, { seconds: 20 });
      session.packet(packets.xaGetTimeout, {});
    },
  },
];
