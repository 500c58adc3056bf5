/** Curator's recipes and ours at the same nodes, in both directions. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";

import {
  Barrier,
  Counter,
  GroupMember,
  type ServiceInstance,
  ServiceRegistry,
  SharedCount,
  type ZooKeeper,
} from "@everhold/zookeeper";

import { connectTo } from "../support/clients.ts";
import { CuratorRecipes } from "../support/curator-recipes.ts";
import { Ensemble } from "../support/ensemble.ts";
import { until } from "../support/until.ts";

const parts = [
  { value: "scheme", variable: true },
  { value: "://", variable: false },
  { value: "address", variable: true },
  { value: ":", variable: false },
  { value: "port", variable: true },
];

/** What both register, but for the id. */
const service = {
  ...{ name: "orders", address: "10.0.0.7", port: 8080, sslPort: 8443, payload: "zone-a" },
  ...{ registrationTimeUTC: 1_325_129_459_728, uriSpec: { parts } },
};

/** The same as Curator says it. */
const asOfCurator = {
  ...{ name: "orders", address: "10.0.0.7", port: 8080, sslPort: 8443, payload: "zone-a" },
  ...{ registrationTimeUTC: 1_325_129_459_728, serviceType: "DYNAMIC", enabled: true },
  uri: "https://10.0.0.7:8080",
};

// One version of the servers is enough: what both agree on is in the nodes, which servers do not look into.
describe("Curator's recipes beside ours", () => {
  let ensemble: Ensemble;
  let client: ZooKeeper;
  let curator: CuratorRecipes;
  const started: AsyncDisposable[] = [];
  before(async () => {
    started.push((ensemble = await Ensemble.start({ version: "3.9.5", size: 1 })));
    started.push((client = await connectTo(ensemble.connectString)));
    started.push((curator = await CuratorRecipes.start(ensemble.connectString)));
  });
  after(async () => {
    for (const one of started.toReversed()) await one[Symbol.asyncDispose]();
  });

  /** Once Curator says something else: what it knows by its own watches may come a little later. */
  const curatorSays = async (expected: unknown, ...call: readonly string[]): Promise<void> => {
    let said: unknown;
    await until(
      `Curator says ${JSON.stringify(expected)}`,
      async () => {
        said = await curator.call(...call);
        return isDeepStrictEqual(said, expected) ? true : undefined;
      },
      () => `but ${JSON.stringify(said)}`,
    );
  };

  it("services that either registers are found by the other, and gone when they are taken back", async () => {
    await using services = new ServiceRegistry(client, "/services");
    await using orders = services.provider("orders");
    await orders.start();
    const ours = await services.register({ ...service, id: "ours" });
    await curatorSays([{ ...asOfCurator, id: "ours" }], "instances", "/services", "orders");

    const { name, address, port, sslPort, payload, registrationTimeUTC } = service;
    const said = [name, "java", address, port, sslPort, payload, registrationTimeUTC];
    await curator.call("register", "/services", ...said, "{scheme}://{address}:{port}");
    const java: ServiceInstance = { ...ours.instance, id: "java" };
    assert.deepEqual(await services.instances("orders", { fresh: true }), [java, ours.instance]);
    await orders.fresh();
    assert.deepEqual(orders.instances(), [java, ours.instance]);

    // A payload of another kind, an instance that is not enabled, and one that says as little as it can.
    await ours.update({ payload: { zone: "b", ports: [1, 2] }, enabled: false });
    const little = await services.register({ name: "parcels", id: "little" });
    const changed = { ...asOfCurator, id: "ours", payload: "{zone=b, ports=[1, 2]}" };
    assert.deepEqual(await curator.call("instances", "/services", "orders"), [
      { ...asOfCurator, id: "java" },
      { ...changed, enabled: false },
    ]);
    const least = { address: "null", port: null, sslPort: null, payload: "null", uri: "" };
    const known = { name: "parcels", id: "little", registrationTimeUTC: 0 };
    assert.deepEqual(await curator.call("instances", "/services", "parcels"), [
      { ...least, ...known, serviceType: "DYNAMIC", enabled: true },
    ]);

    await ours.unregister();
    const left = await curator.call("instances", "/services", "orders");
    assert.deepEqual(left, [{ ...asOfCurator, id: "java" }]);
    await curator.call("unregister", "/services", "java");
    assert.deepEqual(await services.instances("orders", { fresh: true }), []);
    await orders.fresh();
    assert.equal(orders.pick(), undefined);
    await little.unregister();
  });

  it("members of a group know each other, what they say, and when they leave", async () => {
    await using member = new GroupMember(client, "/group", "ours", { data: "a" });
    await member.start();
    await curator.call("join", "/group", "java", "b");
    await curatorSays({ java: "b", ours: "a" }, "members", "/group");
    await until("it is known", () => (member.members().has("java") ? true : undefined));
    assert.equal(Buffer.from(member.members().get("java")?.data ?? []).toString(), "b");
    await member.setData("c");
    await curatorSays({ java: "b", ours: "c" }, "members", "/group");
    await curator.call("leave", "/group");
    await member.fresh();
    assert.deepEqual([...member.members().keys()], ["ours"]);
    await curator.call("join", "/group", "java", "b");
    await member.close();
    await curatorSays({ java: "b" }, "members", "/group");
    await curator.call("leave", "/group");
  });

  it("a number that both count with is the sum, whoever began", async () => {
    for (const path of ["/counters/ours", "/counters/theirs"]) {
      const counter = new Counter(client, path);
      if (path.endsWith("theirs")) assert.equal(await curator.call("increment", path), "1");
      else assert.equal(await counter.increment(), 1n);
      const sums = await Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          index % 2 === 0 ? counter.increment() : curator.call("increment", path),
        ),
      );
      const expected = Array.from({ length: 40 }, (_, index) => index + 2);
      assert.deepEqual(
        sums.map(Number).toSorted((one, other) => one - other),
        expected,
      );
      assert.equal(await counter.get({ fresh: true }), 41n);
      assert.equal(await curator.call("get", path), "41");
      await counter.set(-5n);
      assert.equal(await curator.call("get", path), "-5");
      assert.equal(await counter.compareAndSet(-5n, 7n), true);
      // It compares all bytes of the node, of which ours has more.
      assert.equal(await curator.call("compareAndSet", path, 7, 8), false);
      assert.equal(await curator.call("increment", path), "8");
      assert.equal(await curator.call("compareAndSet", path, 8, 9), true);
      assert.equal(await counter.increment(), 10n);
    }
  });

  it("a count that either sets is told to the other, and set only where it is the one that was read", async () => {
    await using count = new SharedCount(client, "/count", { initial: 4 });
    await count.start();
    await curatorSays(4, "count", "/count");
    await curator.call("setCount", "/count", -7);
    await until("it is told", () => (count.current?.count === -7 ? true : undefined));
    assert.equal(await count.trySet(8), true);
    await curatorSays(8, "count", "/count");
    const expected = count.current;
    assert.equal(await curator.call("trySetCount", "/count", 9), true);
    assert.ok(expected !== undefined);
    assert.equal(await count.trySet(10, { expected }), false);
    assert.equal(count.current?.count, 9);
  });

  it("whoever sets a barrier, all wait, and whoever takes it away, all pass", async () => {
    const barrier = new Barrier(client, "/barrier");
    for (const [set, remove] of [
      [() => curator.call("setBarrier", "/barrier"), () => barrier.remove()],
      [() => barrier.set(), () => curator.call("removeBarrier", "/barrier")],
    ] as const) {
      await set();
      assert.equal(await barrier.isSet(), true);
      let passedCount = 0;
      const count = (): void => void (passedCount += 1);
      const passing = [barrier.pass(), curator.call("passBarrier", "/barrier")];
      for (const one of passing) one.then(count, count);
      // What was asked for later is answered, and they still wait.
      await curator.call("get", "/counters/ours");
      assert.equal(passedCount, 0);
      await remove();
      assert.deepEqual(await Promise.all(passing), [undefined, true]);
      assert.equal(await barrier.isSet(), false);
    }
  });
});
