import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { assertError, rejection } from "@everhold/test-world";
import { operations } from "../../protocol/operations.ts";
import { oneAtATime, type Place } from "../contention/line.ts";
import { lockSetup, timing } from "./lock-setup.test-support.ts";
import { Mutex } from "./mutex.ts";
import { ReadWriteLock, readingRule, readWriteKinds } from "./read-write-lock.ts";

test("many read at a time, who writes is alone, and who reads later does not pass", async () => {
  const { client, soon, isPending, servers, end } = await lockSetup();
  const lock = new ReadWriteLock(client, "/lock", timing);
  const readers = [await soon(lock.read.acquire()), await soon(lock.read.acquire())];
  const writing = lock.write.acquire();
  assert.equal(await isPending(writing), true);
  const late = lock.read.acquire();
  assert.equal(await isPending(late), true);
  for (const reader of readers) await servers.world.now(reader.release());
  const writer = await soon(writing);
  assert.equal(await isPending(late), true);
  const kinds = (await servers.world.now(lock.participants())).map(({ kind }) => kind);
  assert.deepEqual(kinds, [readWriteKinds.write, readWriteKinds.read]);
  await servers.world.now(writer.release());
  assert.equal((await soon(late)).isHeld(), true);
  await end();
});

test("who writes reads besides, and nobody writes between the two", async () => {
  const { client, soon, isPending, servers, end } = await lockSetup();
  const lock = new ReadWriteLock(client, "/lock", timing);
  const writer = await soon(lock.write.acquire());
  const next = lock.write.acquire();
  assert.equal(await isPending(next), true);
  const reader = await soon(lock.read.acquire({ under: writer }));
  assert.equal(reader.token, writer.token);
  await servers.world.now(writer.release());
  assert.equal(await isPending(next), true);
  assert.equal(reader.isHeld(), true);
  await servers.world.now(reader.release());
  assert.ok((await soon(next)).token > reader.token);
  await end();
});

test("that is so though the answer is lost, and nothing is left of one who gives up", async () => {
  const { client, countAt, servers, end } = await lockSetup();
  const { world } = servers;
  const lock = new ReadWriteLock(client, "/lock", timing);
  const acquiring = lock.write.acquire();
  await world.advance(3000);
  const writer = await world.now(acquiring);
  let isLost = false;
  servers.losesAnswer = ({ code, body }) => {
    // A renewal is one check; this is a check and a create.
    if (code !== operations.multi.code || body.length < 150 || isLost) return false;
    isLost = true;
    return true;
  };
  const reading = lock.read.acquire({ under: writer });
  await world.advance(5000);
  const reader = await world.now(reading);
  assert.equal(isLost, true);
  assert.equal(countAt("/lock"), 2);
  await world.now(reader.release());
  servers.interfere = ({ code, body }) =>
    code === operations.multi.code && body.length >= 150 ? "drop" : undefined;
  const late = lock.read.acquire({ under: writer, timeout: 500 });
  late.catch(() => undefined);
  await world.advance(1000);
  assertError(await rejection(world, late), "EVH_TIMEOUT");
  servers.interfere = () => undefined;
  servers.disconnect(client.sessionId);
  await world.advance(5000);
  assert.equal(countAt("/lock"), 1);
  await end();
});

test("who reads is refused to write besides, as is what is not of this lock or not held any more", async () => {
  const { client, soon, servers, end } = await lockSetup();
  const { world } = servers;
  const lock = new ReadWriteLock(client, "/lock", timing);
  const reader = await soon(lock.read.acquire());
  assertError(await rejection(world, lock.write.acquire({ under: reader })), "EVH_ILLEGAL_STATE");
  assertError(await rejection(world, lock.read.acquire({ under: reader })), "EVH_ILLEGAL_STATE");
  const foreign = await soon(new Mutex(client, "/other", timing).acquire());
  assertError(await rejection(world, lock.read.acquire({ under: foreign })), "EVH_CONFIG");
  await world.now(reader.release());
  const writer = await soon(lock.write.acquire());
  assertError(await rejection(world, lock.write.acquire({ under: writer })), "EVH_ILLEGAL_STATE");
  await servers.expire(client.sessionId);
  assertError(await rejection(world, lock.read.acquire({ under: writer })), "EVH_LEASE_LOST");
  await end();
});

test("whoever comes and leaves: one writes, or some read, and nobody waits for nobody", () => {
  const { write, read } = readWriteKinds;
  const steps = fc.array(fc.nat({ max: 11 }), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (choices) => {
      let line: Place[] = [];
      for (const [sequence, choice] of choices.entries()) {
        const kind = choice % 2 === 0 ? write : read;
        if (choice < 6 || line.length === 0) line.push({ name: kind + sequence, kind, sequence });
        else line = line.filter((_, index) => index !== choice % line.length);
        const awaited = line.map((place, index) =>
          (place.kind === write ? oneAtATime : readingRule())(line, index),
        );
        const holders = line.filter((_, index) => awaited[index] === undefined);
        const writers = holders.filter((holder) => holder.kind === write);
        assert.ok(writers.length === 0 || holders.length === 1);
        assert.ok(line.length === 0 || holders.includes(line[0] ?? fail()));
        // Who waits, waits for somebody before.
        for (const [index, one] of awaited.entries()) {
          if (one !== undefined) assert.ok(line.indexOf(one) < index);
        }
      }
    }),
  );
});

function fail(): never {
  throw new Error("nobody is first");
}
