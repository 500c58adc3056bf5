import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { EverholdError } from "@everhold/base";
import { assertNothingRuns, errorOf } from "@everhold/test-world";
import { testCoordinator } from "./coordinator-cases.test-support.ts";
import {
  addressOf,
  anna,
  bert,
  groupId,
  newGroup,
  promotionOf,
  reconfigurationOf,
} from "./group-values.test-support.ts";
import { type LocalMember, LocalWorld } from "./local-world.test-support.ts";

testCoordinator(() => new LocalWorld());

test("when the live is killed the others hear of it within a look, and one of them goes on", async () => {
  const setup = new LocalWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await lead(setup, one);
  await setup.within(one.coordinator.register(addressOf(anna)));
  await setup.within(other.coordinator.register(addressOf(bert)));
  await setup.until("all are known", () => other.told.members.startsWith("anna"));
  const before = other.told.goneCount;
  one.kill();
  await setup.world.advance(500);
  assert.ok(other.told.goneCount > before);
  assert.equal(other.told.members, "bert bert:61616");
  const next = promotionOf(bert, await setup.known(other));
  assert.equal(await setup.within(other.coordinator.request("promote", next)), "done");
  assert.equal(await setup.isLive(other), true);
  // The next process of the same name.
  const again = await setup.member();
  await setup.within(again.coordinator.register(addressOf({ ...anna, incarnation: "a2" })));
  await setup.until("it is known", () => other.told.members.startsWith("anna"));
  assert.equal(await setup.isLive(other), true);
  await setup.end(again, other);
  assertNothingRuns(setup.world);
});

test("the next process of the live's name does not lead because of that", async () => {
  const setup = new LocalWorld();
  const one = await setup.member();
  await lead(setup, one);
  one.kill();
  const again = await setup.member();
  await setup.within(again.coordinator.register(addressOf(anna)));
  await setup.world.advance(60_000);
  assert.ok(again.told.goneCount > 0);
  assert.equal(setup.liveClaim, undefined);
  await setup.end(again);
});

test("a live and a member whose claim is taken away have another one, and only who leads does", async () => {
  const setup = new LocalWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await lead(setup, other);
  await lead(setup, one);
  await setup.within(one.coordinator.register(addressOf(anna)));
  await setup.within(other.coordinator.register(addressOf(bert)));
  for (const { claims } of [one, other]) setup.claims.drop(claims[0] ?? "");
  await setup.until("they have others", () =>
    [one, other].every(({ claims }) => claims.length > 1),
  );
  const all = "anna anna:61616,bert bert:61616";
  await setup.until("all are known", () => [one, other].every(({ told }) => told.members === all));
  assert.equal(await setup.isLive(one), true);
  await setup.end(one, other);
  assertNothingRuns(setup.world);
});

test("what one process changes is told to the others within a look", async () => {
  const setup = new LocalWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await setup.within(one.coordinator.create(newGroup()));
  await setup.world.advance(1000);
  const before = other.told.changedCount;
  const next = reconfigurationOf(await setup.known(one), 1);
  await setup.within(one.coordinator.request("reconfigure", next));
  await setup.world.advance(300);
  assert.equal(other.told.changedCount, before + 1);
  await setup.end(one, other);
});

test("a request is done though somebody else registers while it is written", async () => {
  const setup = new LocalWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await setup.within(one.coordinator.create(newGroup()));
  const next = promotionOf(anna, await setup.known(one));
  const link = one.disk.link.bind(one.disk);
  one.disk.link = async (from, to) => {
    one.disk.link = link;
    await other.coordinator.register(addressOf(bert));
    return link(from, to);
  };
  assert.equal(await setup.within(one.coordinator.request("promote", next)), "done");
  await setup.until("it is known", () => one.told.members === "bert bert:61616");
  assert.equal((await setup.known(other)).version, 1);
  await setup.end(one, other);
});

test("members are registered again where somebody has removed the folder", async () => {
  const setup = new LocalWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await setup.within(one.coordinator.register(addressOf(anna)));
  await setup.within(other.coordinator.register(addressOf(bert)));
  await setup.remove();
  await setup.within(one.coordinator.create(newGroup()));
  const newcomer = await setup.member();
  const all = "anna anna:61616,bert bert:61616";
  await setup.until("all are known", () => newcomer.told.members === all);
  await setup.end(one, other, newcomer);
});

test("changes leave the newest files only, and drafts of processes that died go too", async () => {
  const setup = new LocalWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await setup.within(one.coordinator.create(newGroup()));
  setup.disk.put("draft-2-0123", new Uint8Array(3));
  for (let mark = 1; mark <= 20; mark += 1) {
    const next = reconfigurationOf(await setup.known(other), mark);
    assert.equal(await setup.within(other.coordinator.request("reconfigure", next)), "done");
  }
  assert.equal((await setup.known(one)).version, 20);
  const numbers = setup.disk.names().map((name) => name.split(".")[1]);
  assert.deepEqual(numbers.filter((number) => number !== undefined).length, 8);
  assert.deepEqual(
    setup.disk.names().filter((name) => name.startsWith("draft")),
    [],
  );
  await setup.end(one, other);
});

for (const step of ["before its draft", "before its number"] as const) {
  test(`who is overtaken so often ${step} that the number is free again is told that nobody knows`, async () => {
    const setup = new LocalWorld();
    const [one, other] = [await setup.member(), await setup.member()];
    await setup.within(one.coordinator.create(newGroup()));
    const known = await setup.known(one);
    const { disk } = one;
    const [create, link] = [disk.create.bind(disk), disk.link.bind(disk)];
    const overtake = async (): Promise<void> => {
      disk.create = create;
      disk.link = link;
      for (let mark = 1; mark <= 20; mark += 1) {
        const read = await other.coordinator.read();
        assert.ok(read.kind === "state");
        await other.coordinator.request("reconfigure", reconfigurationOf(read.known, mark));
      }
    };
    if (step === "before its draft") disk.create = (name) => overtake().then(() => create(name));
    else disk.link = (from, to) => overtake().then(() => link(from, to));
    const result = one.coordinator.request("promote", promotionOf(anna, known));
    assert.equal(await setup.within(result), "unknown");
    const { version, state } = await setup.known(one);
    assert.deepEqual([version, state.epochStart, state.live], [20, 20, null]);
    await setup.end(one, other);
  });
}

test("a request on a folder that is made again while it is written is unknown", async () => {
  const setup = new LocalWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await setup.within(one.coordinator.create(newGroup()));
  const known = await setup.known(one);
  const link = one.disk.link.bind(one.disk);
  one.disk.link = async (from, to) => {
    one.disk.link = link;
    const draft = setup.disk.content(from);
    await setup.remove();
    await other.coordinator.create(newGroup());
    setup.disk.put(from, draft);
    return link(from, to);
  };
  const result = one.coordinator.request("promote", promotionOf(anna, known));
  assert.equal(await setup.within(result), "unknown");
  assert.deepEqual((await setup.known(other)).state, newGroup());
  await setup.end(one, other);
});

test("what is shown outlasts a loss of power, though who wrote it had not come to the end", async () => {
  let wasLost = false;
  for (let seed = 1; seed <= 20; seed += 1) {
    const setup = new LocalWorld(seed);
    const [one, other] = [await setup.member(), await setup.member()];
    await setup.within(one.coordinator.create(newGroup()));
    const next = promotionOf(anna, await setup.known(one));
    let isLinked = false;
    one.disk.observe(({ operation, phase }) => {
      if (operation !== "link" || phase !== "done") return;
      setup.world.ports.timers.after(0, () => {
        isLinked = true;
        one.kill();
      });
    });
    one.coordinator.request("promote", next).catch(() => undefined);
    await setup.until("it has its name", () => isLinked);
    const shown = seed % 2 === 0 ? await setup.known(other) : undefined;
    other.kill();
    setup.disk.crash();
    const again = await setup.member();
    const { version } = await setup.known(again);
    if (shown !== undefined) assert.equal(version, shown.version);
    else if (version === 0) wasLost = true;
    await setup.end(again);
  }
  assert.ok(wasLost, "the power takes a name that was not shown");
});

const damages: Readonly<Record<string, readonly [(setup: LocalWorld) => void, string, RegExp]>> = {
  "a flipped bit": [
    (setup) => setup.disk.flipBit(setup.newest, 9, 0),
    "EVH_DATA_CORRUPT",
    /made-.*\.1: found \d+ bytes without their checksum.*delete the folder/,
  ],
  "an end that is missing": [
    (setup) => setup.disk.put(setup.newest, setup.disk.content(setup.newest).slice(0, -3)),
    "EVH_DATA_CORRUPT",
    /without their checksum/,
  ],
  "no content": [
    (setup) => setup.disk.put(setup.newest, new Uint8Array(0)),
    "EVH_DATA_CORRUPT",
    /found 0 bytes/,
  ],
  "a damaged first file": [
    (setup) => setup.disk.flipBit("group", 3, 0),
    "EVH_DATA_CORRUPT",
    /\/group: /,
  ],
  "a newer format": [
    (setup) => setup.disk.put(setup.newest, sealed('{"format":2}')),
    "EVH_DATA_FORMAT",
    /found the format 2, expected 1/,
  ],
  "another first file": [
    (setup) => setup.disk.put("group", sealed(`{"format":1,"groupId":"${groupId}","created":"x"}`)),
    "EVH_DATA_FORMAT",
    /found "x", expected the mark made-/,
  ],
  "no version": [
    (setup) => setup.disk.put(setup.newest, sealed('{"format":1}')),
    "EVH_DATA_FORMAT",
    /something else as version/,
  ],
  "a claim that is none": [
    (setup) =>
      setup.disk.put(setup.newest, sealed(`{"format":1,"version":0,"live":7,"members":[]}`)),
    "EVH_DATA_FORMAT",
    /something else as live/,
  ],
  "a state of a newer format": [
    (setup) =>
      setup.disk.put(
        setup.newest,
        sealed('{"format":1,"version":0,"state":{"format":2},"live":null,"members":[]}'),
      ),
    "EVH_PROTOCOL",
    /format: found 2, expected 1/,
  ],
  "a member of a newer format": [
    (setup) =>
      setup.disk.put(
        setup.newest,
        sealed(
          '{"format":1,"version":0,"state":null,"live":null,"members":[{"claim":"c","address":{"format":2}}]}',
        ),
      ),
    "EVH_NODE_FORMAT",
    /format: found 2, expected 1/,
  ],
  "too many bytes": [
    (setup) => setup.disk.put(setup.newest, new Uint8Array(200_000)),
    "EVH_DATA_FORMAT",
    /found 200000 bytes, expected at most/,
  ],
};

for (const [what, [damage, code, message]] of Object.entries(damages)) {
  test(`a folder with ${what} is unreadable, and nothing is written to it`, async () => {
    const setup = new LocalWorld();
    const one = await setup.member();
    await setup.within(one.coordinator.create(newGroup()));
    const known = await setup.known(one);
    damage(setup);
    const names = setup.disk.names();
    const read = await setup.within(one.coordinator.read());
    assert.ok(read.kind === "unreadable");
    assert.ok(EverholdError.is(read.error));
    assert.equal(read.error.code, code);
    assert.match(read.error.message, message);
    const request = one.coordinator.request("promote", promotionOf(anna, known));
    assert.equal(await setup.within(request), "conflict");
    for (const call of [
      () => one.coordinator.create(newGroup()),
      () => one.coordinator.register(addressOf(anna)),
    ]) {
      assert.equal((await setup.within(errorOf(call()))).code, code);
    }
    assert.deepEqual(setup.disk.names(), names);
    await setup.end(one);
    assertNothingRuns(setup.world);
  });
}

test("the folder of another group is refused, by both names", async () => {
  const setup = new LocalWorld();
  const one = await setup.member();
  await setup.within(one.coordinator.create(newGroup()));
  const stranger = await setup.member("bills");
  const { code, message } = await setup.within(
    errorOf(stranger.coordinator.register(addressOf(bert))),
  );
  assert.equal(code, "EVH_CONFIG");
  assert.match(message, /that of the group "orders", expected "bills"/);
  await setup.end(one, stranger);
});

test("more members than a group may have are refused, those that ended not counted", async () => {
  const setup = new LocalWorld();
  const members: LocalMember[] = [];
  for (let index = 0; index < 16; index += 1) {
    const member = await setup.member();
    const address = addressOf({ id: `m${index}`, incarnation: "1" });
    await setup.within(member.coordinator.register(address));
    members.push(member);
  }
  const another = await setup.member();
  const refused = await setup.within(errorOf(another.coordinator.register(addressOf(anna))));
  assert.equal(refused.code, "EVH_CONFIG");
  members.shift()?.kill();
  await setup.until("it is gone", () => !another.told.members.startsWith("m0 "));
  await setup.within(another.coordinator.register(addressOf(anna)));
  await setup.end(another, ...members);
});

async function lead(setup: LocalWorld, member: LocalMember): Promise<void> {
  await setup.within(member.coordinator.create(newGroup()));
  const next = promotionOf(anna, await setup.known(member));
  assert.equal(await setup.within(member.coordinator.request("promote", next)), "done");
}

/** A file whose content is as somebody else wrote it. */
function sealed(line: string): Uint8Array {
  const content = Buffer.from(`${line}\n`);
  const sum = crc32(content).toString(16).padStart(8, "0");
  return Buffer.concat([content, Buffer.from(`${sum}\n`)]);
}
