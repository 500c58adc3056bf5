import { packets } from "@everhold/wire";

import type { PacketProgram } from "../packet-comparison.ts";

/** What Artemis has and Everhold has not; each shows one row of the known differences. */
export const missingFeaturePrograms: readonly PacketProgram[] = [
  {
    name: "messages of one group",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.consume(0, "q");
      session.consume(1, "q");
      session.start();
      for (const text of ["one", "two", "three", "four"]) {
        session.publish("q", text, {
          properties: { _AMQ_GROUP_ID: { type: "string", value: "g" } },
        });
      }
    },
  },
  {
    name: "a last-value queue",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { lastValue: true });
      for (const text of ["old", "new"]) {
        session.publish("q", text, {
          properties: { _AMQ_LVQ_NAME: { type: "string", value: "key" } },
        });
      }
      session.query("q");
    },
  },
  {
    name: "a ring queue",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { ringSize: 2 });
      for (const text of ["one", "two", "three", "four"]) session.publish("q", text);
      session.query("q");
    },
  },
  {
    name: "a queue that is not emptied by consumers",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { nonDestructive: true });
      session.publish("q", "one");
      session.consume(0, "q");
      session.start();
      session.acknowledge(0, 0);
      session.query("q");
    },
  },
  {
    name: "a queue that waits for consumers",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { consumersBeforeDispatch: 2 });
      session.publish("q", "one");
      session.consume(0, "q");
      session.start();
    },
  },
  {
    name: "a session with XA transactions",
    build: (script) => {
      script.connect().session({ xa: true, autoCommitSends: false, autoCommitAcks: false });
    },
  },
  {
    name: "XA packets on a session without XA transactions",
    build: (script) => {
      const session = script.session();
      session.packet(packets.xaInDoubtXids, {});
      session.packet(packets.xaGetTimeout, {});
      session.query("q");
    },
  },
];
