import type { TypedValue } from "@everhold/wire";

import type { PacketProgram } from "../packet-comparison.ts";

function ofGroup(group: string, sequence = 0): { properties: Record<string, TypedValue> } {
  const properties: Record<string, TypedValue> = {
    _AMQ_GROUP_ID: { type: "string", value: group },
  };
  if (sequence !== 0) properties["_AMQ_GROUP_SEQUENCE"] = { type: "int", value: sequence };
  return { properties };
}

function ofValue(value: string): { properties: Record<string, TypedValue> } {
  return { properties: { _AMQ_LVQ_NAME: { type: "string", value } } };
}

/** Groups, exclusive, last-value, ring and non-destructive queues, and queues that wait for consumers. */
export const queueKindPrograms: readonly PacketProgram[] = [
  {
    name: "messages of one group",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.consume(0, "q");
      session.consume(1, "q");
      session.start();
      for (const text of ["one", "two", "three", "four"]) session.publish("q", text, ofGroup("g"));
    },
  },
  {
    name: "messages of several groups, one of which ends",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { groupFirstKey: "first" });
      session.consume(0, "q");
      session.consume(1, "q");
      session.start();
      session.publish("q", "a1", ofGroup("a"));
      session.publish("q", "b1", ofGroup("b"));
      session.publish("q", "a2", ofGroup("a", -1));
      session.publish("q", "b2", ofGroup("b", 5));
      session.publish("q", "c1", ofGroup("c"));
      session.publish("q", "a3", ofGroup("a"));
      session.publish("q", "c2", ofGroup("c"));
    },
  },
  {
    name: "messages of a group whose consumer closes",
    build: (script) => {
      const session = script.session();
      session.createQueue("q");
      session.consume(0, "q");
      session.consume(1, "q");
      session.start();
      for (const text of ["one", "two"]) session.publish("q", text, ofGroup("g"));
      session.closeConsumer(0);
      session.publish("q", "three", ofGroup("g"));
      session.query("q");
    },
  },
  {
    name: "messages of groups on queues without groups, and with one bucket",
    build: (script) => {
      const session = script.session();
      session.createQueue("none", { groupBuckets: 0 });
      session.createQueue("one", { groupBuckets: 1 });
      for (const [index, name] of ["none", "one"].entries()) {
        session.consume(index * 2, name);
        session.consume(index * 2 + 1, name);
      }
      session.start();
      for (const name of ["none", "one"]) {
        for (const group of ["a", "b", "a", "c"]) session.publish(name, group, ofGroup(group));
      }
    },
  },
  {
    name: "messages of a group on an exclusive queue",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { exclusive: true, groupFirstKey: "first" });
      session.consume(0, "q");
      session.consume(1, "q");
      session.start();
      for (const group of ["a", "b"]) session.publish("q", group, ofGroup(group));
      session.closeConsumer(0);
    },
  },
  {
    name: "a last-value queue",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { lastValue: true });
      for (const text of ["old", "new"]) session.publish("q", text, ofValue("key"));
      session.query("q");
      session.publish("q", "other", ofValue("other"));
      session.publish("q", "none");
      session.query("q");
      session.consume(0, "q");
      session.start();
    },
  },
  {
    name: "a last-value queue with a key of its own",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { lastValueKey: "code" });
      const code = (value: number): { properties: Record<string, TypedValue> } => ({
        properties: { code: { type: "int", value } },
      });
      session.publish("q", "one", code(7));
      session.publish("q", "two", { properties: { code: { type: "string", value: "7" } } });
      session.publish("q", "three", ofValue("7"));
      session.publish("q", "four", code(8));
      session.query("q");
      session.consume(0, "q", { browseOnly: true });
    },
  },
  {
    name: "a last-value queue whose consumer gives back an older message",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { lastValue: true });
      session.publish("q", "old", ofValue("key"));
      session.consumer(0, "q");
      session.credits(0, 1);
      session.start();
      session.publish("q", "new", ofValue("key"));
      session.query("q");
      session.closeConsumer(0);
      session.query("q");
      session.consume(1, "q");
    },
  },
  {
    name: "a last-value queue that is not emptied by consumers",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { lastValue: true, nonDestructive: true });
      for (const text of ["a", "b"]) session.publish("q", `${text}1`, ofValue(text));
      session.consume(0, "q");
      session.start();
      session.acknowledge(0, -1);
      session.publish("q", "a2", ofValue("a"));
      session.acknowledge(0, -1);
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
      session.consume(0, "q");
      session.start();
      session.publish("q", "five");
      session.query("q");
      session.closeConsumer(0);
      session.query("q");
      session.consume(1, "q");
    },
  },
  {
    name: "a ring queue with priorities",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { ringSize: 2 });
      for (const priority of [9, 1, 4]) session.publish("q", `p${priority}`, { priority });
      session.query("q");
      session.consume(0, "q");
      session.start();
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
      session.consume(1, "q");
      session.acknowledge(1, 0);
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
      session.consume(1, "q");
    },
  },
  {
    name: "a queue that is disabled",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { enabled: false });
      session.publish("q", "one");
      session.query("q");
    },
  },
];
