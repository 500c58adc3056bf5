import assert from "node:assert/strict";
import { test } from "node:test";
import type { Coordinator, CoordinatorListener, KnownState } from "@everhold/group";
import { assertNothingRuns, errorOf, type TestWorld } from "@everhold/test-world";
import {
  addressOf,
  anna,
  bert,
  newGroup,
  promotionOf,
  reconfigurationOf,
} from "./group-values.test-support.ts";

/** One process, and what it was told. */
export interface CaseMember {
  readonly coordinator: Coordinator;
  readonly told: Told;
}

/** What a listener was told. */
export interface Told {
  changedCount: number;
  goneCount: number;
  /** Who is registered, with the address for clients. */
  members: string;
}

/** A group's processes, and what settles who leads it. */
export interface CaseWorld<Member extends CaseMember> {
  readonly world: TestWorld;
  member(): Promise<Member>;
  /** Whether what stands for the live is this process's. */
  isLive(member: Member): Promise<boolean>;
  /** Removes the group's state, as an operator might. `by`: one of the processes. */
  remove(by: Member): Promise<void>;
  within<T>(promise: Promise<T>): Promise<T>;
  until(what: string, condition: () => boolean): Promise<void>;
  end(...members: readonly Member[]): Promise<void>;
}

/** A listener, and what it was told. */
export function newTold(): { readonly told: Told; readonly listener: CoordinatorListener } {
  const told: Told = { changedCount: 0, goneCount: 0, members: "" };
  const listener: CoordinatorListener = {
    onStateMayHaveChanged: () => void (told.changedCount += 1),
    onLiveGone: () => void (told.goneCount += 1),
    onMembers: (members) => {
      told.members = members.map(({ replica, clients }) => `${replica.id} ${clients}`).join();
    },
  };
  return { told, listener };
}

/** What is known of the group's state. */
export async function knownTo<Member extends CaseMember>(
  setup: Pick<CaseWorld<Member>, "within">,
  { coordinator }: CaseMember,
): Promise<KnownState> {
  const read = await setup.within(coordinator.read());
  if (read.kind !== "state") throw new Error(`read: ${read.kind}`);
  return read.known;
}

/** What every coordinator does, whatever it stands on. */
export function testCoordinator<Member extends CaseMember>(
  newWorld: () => CaseWorld<Member>,
): void {
  test("a group is made once, and who reads it is told what there is", async () => {
    const setup = newWorld();
    const [one, other] = [await setup.member(), await setup.member()];
    assert.deepEqual(await setup.within(one.coordinator.read()), { kind: "absent" });
    const made = await setup.within(
      Promise.all([one.coordinator.create(newGroup()), other.coordinator.create(newGroup())]),
    );
    assert.deepEqual(made.toSorted(), [false, true]);
    const known = await knownTo(setup, other);
    assert.deepEqual(known.state, newGroup());
    assert.equal(known.version, 0);
    await setup.end(one, other);
    assertNothingRuns(setup.world);
  });

  test("of two who change what they have read one is done, and the other has a conflict", async () => {
    const setup = newWorld();
    const [one, other] = [await setup.member(), await setup.member()];
    await setup.within(one.coordinator.create(newGroup()));
    const [known, knownToOther] = [await knownTo(setup, one), await knownTo(setup, other)];
    const results = await setup.within(
      Promise.all([
        one.coordinator.request("reconfigure", reconfigurationOf(known, 1)),
        other.coordinator.request("promote", promotionOf(bert, knownToOther)),
      ]),
    );
    assert.deepEqual(results.toSorted(), ["conflict", "done"]);
    assert.equal((await knownTo(setup, one)).version, 1);
    await setup.end(one, other);
  });

  test("a state that was removed and made again is another one, though its version is the same", async () => {
    const setup = newWorld();
    const [one, other] = [await setup.member(), await setup.member()];
    await setup.within(one.coordinator.create(newGroup()));
    const known = await knownTo(setup, one);
    await setup.within(setup.remove(other));
    assert.equal(await setup.within(other.coordinator.create(newGroup())), true);
    assert.equal((await knownTo(setup, other)).version, known.version);
    for (const [kind, next] of [
      ["reconfigure", reconfigurationOf(known, 1)],
      ["promote", promotionOf(anna, known)],
    ] as const) {
      assert.equal(await setup.within(one.coordinator.request(kind, next)), "conflict");
    }
    const again = await knownTo(setup, one);
    assert.notEqual(again.created, known.created);
    const late = one.coordinator.request("reconfigure", reconfigurationOf(known, 1));
    assert.equal(await setup.within(late), "conflict");
    assert.deepEqual(again, await knownTo(setup, other));
    await setup.end(one, other);
  });

  test("who is promoted is the live instead of who was, and others hear when it goes", async () => {
    const setup = newWorld();
    const [one, other] = [await setup.member(), await setup.member()];
    await setup.within(one.coordinator.create(newGroup()));
    const promote = async (member: Member, self: typeof anna): Promise<void> => {
      const next = promotionOf(self, await knownTo(setup, member));
      assert.equal(await setup.within(member.coordinator.request("promote", next)), "done");
      assert.equal(await setup.within(setup.isLive(member)), true);
    };
    await promote(one, anna);
    await promote(other, bert);
    assert.equal(await setup.within(setup.isLive(one)), false);
    const before = one.told.goneCount;
    await setup.within(other.coordinator.close());
    await setup.until("it is told", () => one.told.goneCount > before);
    await setup.end(one, other);
    assertNothingRuns(setup.world);
  });

  test("a change by one is told to the other", async () => {
    const setup = newWorld();
    const [one, other] = [await setup.member(), await setup.member()];
    await setup.within(one.coordinator.create(newGroup()));
    await setup.world.advance(1000);
    const before = other.told.changedCount;
    const next = reconfigurationOf(await knownTo(setup, one), 1);
    assert.equal(await setup.within(one.coordinator.request("reconfigure", next)), "done");
    await setup.until("it is told", () => other.told.changedCount > before);
    await setup.end(one, other);
  });

  test("members know each other, also before the group is made", async () => {
    const setup = newWorld();
    const [one, other] = [await setup.member(), await setup.member()];
    await setup.within(one.coordinator.register(addressOf(anna)));
    await setup.within(other.coordinator.register(addressOf(bert)));
    const all = "anna anna:61616,bert bert:61616";
    await setup.until("they do", () => [one, other].every(({ told }) => told.members === all));
    await setup.within(one.coordinator.create(newGroup()));
    await setup.within(other.coordinator.close());
    await setup.until("it has left", () => one.told.members === "anna anna:61616");
    await setup.end(one, other);
    assertNothingRuns(setup.world);
  });

  for (const incarnation of ["a1", "a2"]) {
    test(`a second process with an id is refused, by an error that names both, ${incarnation} beside a1`, async () => {
      const setup = newWorld();
      const [one, other] = [await setup.member(), await setup.member()];
      await setup.within(one.coordinator.register(addressOf(anna)));
      const second = other.coordinator.register(addressOf({ id: "anna", incarnation }));
      const { code, message } = await setup.within(errorOf(second));
      assert.equal(code, "EVH_MEMBER_EXISTS");
      assert.match(message, new RegExp(`anna@${incarnation} .*anna@a1 `));
      await setup.within(one.coordinator.close());
      await setup.within(other.coordinator.register(addressOf({ id: "anna", incarnation })));
      await setup.end(one, other);
    });
  }

  test("of two processes with an id that begin at once one is registered", async () => {
    const setup = newWorld();
    const members = [await setup.member(), await setup.member()];
    const results = await setup.within(
      Promise.allSettled(
        members.map(({ coordinator }, index) =>
          coordinator.register(addressOf({ id: "anna", incarnation: `a${index}` })),
        ),
      ),
    );
    assert.deepEqual(results.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
    await setup.until("they know", () =>
      members.every(({ told }) => told.members === "anna anna:61616"),
    );
    await setup.end(...members);
  });

  test("a coordinator registers one member, and answers nothing once it is closed", async () => {
    const setup = newWorld();
    const one = await setup.member();
    await setup.within(one.coordinator.create(newGroup()));
    const known = await knownTo(setup, one);
    await setup.within(one.coordinator.register(addressOf(anna)));
    const again = await setup.within(errorOf(one.coordinator.register(addressOf(bert))));
    assert.equal(again.code, "EVH_ILLEGAL_STATE");
    await setup.within(one.coordinator.close());
    const calls: readonly (() => Promise<unknown>)[] = [
      () => one.coordinator.read(),
      () => one.coordinator.create(newGroup()),
    ];
    for (const call of calls) {
      assert.equal((await setup.within(errorOf(call()))).code, "EVH_CLOSED");
    }
    const late = one.coordinator.request("promote", promotionOf(anna, known));
    assert.equal(await setup.within(late), "conflict");
    await setup.end(one);
  });
}
