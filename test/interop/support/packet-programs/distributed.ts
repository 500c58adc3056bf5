import { packets } from "@everhold/wire";

import type { PacketProgram } from "../packet-comparison.ts";
import type { PacketScript, SessionScript } from "../packet-script.ts";

const working = { xa: true, autoCommitSends: false, autoCommitAcks: false } as const;

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

  end(failed = false): void {
    this.session.packet(packets.xaEnd, { xid: this.#xid, failed });
  }

  prepare(): void {
    this.session.packet(packets.xaPrepare, { xid: this.#xid });
  }

  commit(onePhase = false): void {
    this.session.packet(packets.xaCommit, { xid: this.#xid, onePhase });
  }

  rollback(): void {
    this.session.packet(packets.xaRollback, { xid: this.#xid });
  }

  forget(): void {
    this.session.packet(packets.xaForget, { xid: this.#xid });
  }

  failed(): void {
    this.session.packet(packets.xaFailed, { xid: this.#xid });
  }
}

/** A session that works for branches, with a queue. */
function branch(script: PacketScript): BranchScript {
  const session = script.session(working);
  session.createQueue("q");
  return new BranchScript(session);
}

/** Branches of distributed transactions: sections 3.6 and 5.10. */
export const distributedPrograms: readonly PacketProgram[] = [
  {
    name: "a branch in two phases",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.session.publish("q", "sent", { requiresResponse: false });
      one.end();
      one.prepare();
      one.session.query("q");
      one.commit();
      one.session.query("q");
    },
  },
  {
    name: "a branch in one phase",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.session.publish("q", "sent", { requiresResponse: false });
      one.end();
      one.commit(true);
      one.session.query("q");
      one.commit(true);
    },
  },
  {
    name: "a branch that is rolled back, prepared or not",
    build: (script) => {
      for (const isPrepared of [false, true]) {
        const session = script.session(working);
        const one = new BranchScript(session, isPrepared ? "prepared" : "active");
        if (!isPrepared) session.createQueue("q");
        one.begin();
        session.publish("q", "sent", { requiresResponse: false });
        one.end();
        if (isPrepared) one.prepare();
        one.rollback();
        session.query("q");
        one.rollback();
      }
    },
  },
  {
    name: "a session of branches that works for none",
    build: (script) => {
      const one = branch(script);
      one.session.publish("q", "at once");
      one.session.query("q");
    },
  },
  {
    name: "requests about a branch that is not known",
    build: (script) => {
      const one = branch(script);
      one.join();
      one.resume();
      one.end();
      one.prepare();
      one.commit();
      one.commit(true);
      one.rollback();
      one.forget();
      one.suspend();
    },
  },
  {
    name: "requests about a branch that the session works for",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.session.publish("q", "sent", { requiresResponse: false });
      one.prepare();
      one.commit(true);
      one.rollback();
      one.resume();
      one.end();
      one.end();
      one.rollback();
      one.session.query("q");
    },
  },
  {
    name: "requests about a branch that is suspended",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.session.publish("q", "sent", { requiresResponse: false });
      one.suspend();
      one.suspend();
      one.join();
      one.prepare();
      one.commit(true);
      one.resume();
      one.suspend();
      one.end();
      one.commit(true);
      one.session.query("q");
    },
  },
  {
    name: "a branch that another session begins again",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.session.publish("q", "sent", { requiresResponse: false });
      one.end();
      const other = one.on(script.session(working));
      other.begin();
      other.session.query("q");
    },
  },
  {
    name: "a branch that two sessions work for, and a third one decides",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.session.publish("q", "first", { requiresResponse: false });
      one.end();
      const other = one.on(script.session(working));
      other.join();
      other.session.publish("q", "second", { requiresResponse: false });
      other.end();
      one.prepare();
      one.prepare();
      const third = one.on(script.session(working));
      third.commit();
      third.session.query("q");
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
      one.session.query("q");
    },
  },
  {
    name: "a branch whose connection breaks before it is prepared",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.session.publish("q", "sent", { requiresResponse: false });
      one.end();
      one.session.connection.drop();
      const other = one.on(script.session(working));
      other.prepare();
      other.session.query("q");
    },
  },
  {
    name: "a branch whose connection breaks after it is prepared",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.session.publish("q", "sent", { requiresResponse: false });
      one.end();
      one.prepare();
      one.session.connection.drop();
      const other = one.on(script.session(working));
      other.commit();
      other.session.query("q");
    },
  },
  {
    name: "a branch that did nothing",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.end();
      one.prepare();
      one.rollback();
    },
  },
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
  {
    name: "a branch whose work failed",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.session.publish("q", "sent", { requiresResponse: false });
      one.end(true);
      one.prepare();
      one.rollback();
      one.session.query("q");
    },
  },
  {
    name: "a branch in the wrong phase",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.session.publish("q", "sent", { requiresResponse: false });
      one.end();
      one.commit(false);
    },
  },
  {
    name: "a branch that is committed twice",
    build: (script) => {
      const one = branch(script);
      one.begin();
      one.session.publish("q", "sent", { requiresResponse: false });
      one.end();
      one.prepare();
      one.commit();
      one.commit();
    },
  },
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
