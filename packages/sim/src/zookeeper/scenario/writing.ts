import { EverholdError } from "@everhold/base";
import { type Counter, ops, type ZooKeeper } from "@everhold/zookeeper-core";
import type { KeeperLife } from "./keeper-life.ts";
import { readNode } from "./watching.ts";

/** Does one thing with the nodes that everybody changes. */
export async function work(
  life: KeeperLife,
  client: ZooKeeper,
  newText: () => string,
): Promise<void> {
  const { prng } = life;
  const path = prng.pick(life.settings.paths);
  switch (prng.integer(0, 6)) {
    case 0:
      return write(life, newText(), (text) =>
        client.create(path, text).then(({ stat }) => stat.czxid),
      );
    case 1:
      return write(life, newText(), (text) =>
        client.setData(path, text).then(({ mzxid }) => mzxid),
      );
    case 2: {
      const { stat } = await client.getData(path);
      return write(life, newText(), (text) =>
        client.setData(path, text, { version: stat.version }).then(({ mzxid }) => mzxid),
      );
    }
    case 3:
      return write(life, newText(), async (text) => {
        await client.multi([ops.check("/data"), ops.setData(path, text)]);
        return 0n;
      });
    case 4:
      return client.delete(path);
    default:
      return write(life, newText(), (text) => enqueue(life, client, text));
  }
}

/** Reads one of them. */
export async function read(life: KeeperLife, client: ZooKeeper): Promise<void> {
  const { prng, settings } = life;
  await readNode(life, client, prng.pick(settings.paths), { fresh: prng.chance(0.7) });
}

/** Adds 1 to what everybody counts. */
export async function count({ judge, isOver }: KeeperLife, counter: Counter): Promise<void> {
  const begun = judge.counting.begin();
  try {
    const value = await counter.increment();
    if (!isOver) judge.counting.ended(begun, { outcome: "applied", value });
  } catch (error) {
    if (!isOver && EverholdError.is(error)) judge.counting.ended(begun, error);
    throw error;
  }
}

/** Writes a text into a node of its own, whose name the servers number. */
async function enqueue({ settings }: KeeperLife, client: ZooKeeper, text: string): Promise<bigint> {
  const mode = "persistentSequential";
  const path = "/data/a/entry-";
  if (settings.mistake !== "repeat-creates") {
    const { stat } = await client.create(path, text, { mode, protected: true });
    return stat.czxid;
  }
  for (;;) {
    try {
      const [created] = await client.multi([ops.create(path, text, { mode })]);
      return created.stat?.czxid ?? 0n;
    } catch (error) {
      if (!EverholdError.is(error) || error.outcome !== "unknown") throw error;
    }
  }
}

/** Writes a text that nobody has written before, and tells the judge what was said of it. */
async function write(
  life: KeeperLife,
  text: string,
  step: (text: string) => Promise<bigint>,
): Promise<void> {
  const { judge, view } = life;
  judge.writeBegan(text);
  try {
    const zxid = await step(text);
    if (!life.isOver) judge.writeEnded(text, "applied", { view, zxid });
  } catch (error) {
    if (!EverholdError.is(error)) throw error;
    if (!life.isOver) judge.writeEnded(text, error.outcome);
    life.expect(error);
  }
}
