import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { newGroupState, startMember, type GroupState, type Member } from "@everhold/group";
import type { ReplicatedLog } from "@everhold/journal";
import { GroupRules, type Ruled } from "./group-rules.ts";

const names = ["anna", "bert", "cleo"];

/** What a member shows. */
interface Shown {
  readonly epoch?: number;
  readonly isLive?: boolean;
  readonly end?: number;
  readonly durable?: number;
  readonly commit?: number;
  readonly promised?: number;
  readonly incarnation?: string;
  readonly chain?: string;
  readonly epochs?: ReplicatedLog["epochs"];
  /** One in which it has started anew. */
  readonly life?: number;
}

/** Three members in sync: anna leads in epoch 1, and 100 bytes are committed everywhere. */
class Group {
  readonly broken: string[] = [];
  state: GroupState = {
    ...newGroupState("group", replica("anna"), 2),
    epoch: 1,
    live: replica("anna"),
    inSync: names.map((name) => replica(name)),
  };
  readonly #shown = new Map<string, Shown>();
  readonly #logs = new Map<string, ReplicatedLog>();
  readonly #rules: GroupRules;

  constructor() {
    const members = names.map((name): Ruled => {
      const broker = (): Ruled["broker"] => this.#broker(name);
      return {
        name,
        get broker() {
          return broker();
        },
      };
    });
    this.#rules = new GroupRules(
      members,
      () => this.state,
      (text) => this.broken.push(text),
    );
    this.show({ anna: { isLive: true }, bert: {}, cleo: {} });
  }

  /** The event after which members show this. */
  show(news: Readonly<Record<string, Shown>>): void {
    for (const [name, shown] of Object.entries(news)) {
      this.#shown.set(name, { ...this.#shown.get(name), ...shown });
    }
    this.#rules.look();
  }

  /** The node says so, before or with the next event. */
  decide(change: Partial<GroupState>): void {
    this.state = { ...this.state, ...change };
  }

  #broker(name: string): Ruled["broker"] {
    const shown = this.#shown.get(name) ?? {};
    return { member: this.#member(name, shown), log: this.#log(name, shown) };
  }

  #member(name: string, shown: Shown): Member {
    const { epoch = 1, commit = 100, promised = epoch, incarnation, isLive = false } = shown;
    const started = startMember({
      self: replica(name, incarnation),
      ...{ groupId: "group", features: 1, fencedEpoch: promised, commitPosition: commit },
    });
    const known = { created: "1", version: 1, state: this.state };
    if (!isLive) return { ...started, known };
    const none = { peers: [], asked: [], dropping: [], held: [], handOver: null };
    return { ...started, known, role: { kind: "live", epoch, epochStart: 0, ...none } };
  }

  #log(name: string, shown: Shown): ReplicatedLog {
    const { end = 100, durable = end, chain = "same", life = 1 } = shown;
    const key = `${name} ${life}`;
    const log = this.#logs.get(key) ?? { end, durable, epochs: [], chainAt: () => "" };
    const { epochs = [{ epoch: 1, position: 0 }] } = shown;
    Object.assign(log, { end, durable, epochs, chainAt: () => chain });
    this.#logs.set(key, log);
    return log;
  }
}

function replica(id: string, incarnation = "first"): GroupState["inSync"][number] {
  return { id, incarnation };
}

/** What breaks a rule, by what is said of it. */
const breaches: Readonly<Record<string, (group: Group) => void>> = {
  "I1: epoch 1 has two lives": (group) => group.show({ bert: { isLive: true } }),
  "I1: epoch 2 begins at 100, and on cleo at 110": (group) =>
    group.show({
      bert: { epochs: [{ epoch: 2, position: 100 }], life: 2 },
      cleo: { epochs: [{ epoch: 2, position: 110 }], life: 2 },
    }),
  "I2: cleo has other at 100, where same was committed": (group) =>
    group.show({ cleo: { chain: "other", life: 2, epochs: [] } }),
  "I3: bert leads with 90 bytes": (group) => {
    group.decide({ epoch: 2, live: replica("bert"), inSync: [replica("anna")] });
    group.show({ bert: { isLive: true, epoch: 2, end: 90, life: 2, epochs: [] } });
  },
  "I4: anna commits 110, which 1 have, of 2": (group) => {
    group.decide({ inSync: [replica("anna")] });
    group.show({ anna: { end: 110, commit: 110 } });
  },
  "I5: bert shows 110, and 100 is committed": (group) =>
    group.show({ anna: { end: 110 }, bert: { end: 110, commit: 110 }, cleo: { end: 110 } }),
  "I6: bert promised epoch 2 and took from 1": (group) => {
    group.show({ bert: { promised: 2 } });
    group.show({ bert: { promised: 1, life: 2 } });
    assert.deepEqual(group.broken, []);
    group.show({ bert: { end: 110 } });
  },
  "I7: bert knew of commits up to 100, and now only to 90": (group) =>
    group.show({ bert: { commit: 90 } }),
  "I7: bert serves 90 bytes, and 100 are committed": (group) => {
    group.decide({ epoch: 2, live: replica("bert") });
    group.show({ bert: { isLive: true, epoch: 2, commit: 90, life: 2 } });
  },
  "I8: cleo (first) may be promoted with 90 bytes": (group) =>
    group.show({ cleo: { durable: 90 } }),
};

describe("the rules of a group", () => {
  it("hold while one leads, and others have what it commits", () => {
    const group = new Group();
    group.show({ anna: { end: 110 } });
    group.show({ bert: { end: 110 }, cleo: { end: 110 } });
    group.show({ anna: { commit: 110 } });
    group.show({ bert: { commit: 110 } });
    assert.deepEqual(group.broken, []);
  });

  it("ask nothing of a disk that was lost", () => {
    const group = new Group();
    group.show({ cleo: { incarnation: "second", end: 0, commit: 0, life: 2, epochs: [] } });
    assert.deepEqual(group.broken, []);
  });

  for (const [said, breach] of Object.entries(breaches)) {
    it(`are found broken: ${said}`, () => {
      const group = new Group();
      breach(group);
      assert.ok(group.broken[0]?.startsWith(said), group.broken.join("; "));
    });
  }
});
