import assert from "node:assert/strict";
import { test } from "node:test";

import { MovedMessages } from "./moved-messages.ts";
import { stateLimits } from "./state-limits.ts";

test("what was moved away is known, and of many the last ones", () => {
  const moved = new MovedMessages();
  moved.note(1, 10);
  assert.equal(moved.fateOf(1, 10), "moved");
  assert.equal(moved.fateOf(1, 9), "not moved");
  assert.equal(moved.fateOf(2, 10), "not moved");
  for (let id = 0; id < stateLimits.movedMessagesMax; id += 1) moved.note(2, id);
  assert.equal(moved.fateOf(1, 10), "unknown");
  assert.equal(moved.fateOf(1, 9), "unknown");
  assert.equal(moved.fateOf(1, 11), "not moved");
  assert.equal(moved.fateOf(2, 0), "moved");
  moved.forgetQueue(1);
  assert.equal(moved.fateOf(1, 10), "not moved");
});

test("what is known is written down and read again", () => {
  const moved = new MovedMessages();
  for (let id = 0; id <= stateLimits.movedMessagesMax; id += 1) moved.note(1, id);
  const copy = new MovedMessages();
  for (const { queueId, messageId, isForgotten } of moved.entries()) {
    if (isForgotten) copy.forgetUpTo(queueId, messageId);
    else copy.note(queueId, messageId);
  }
  assert.deepEqual([...copy.entries()], [...moved.entries()]);
});

test("nothing is left of a queue that is deleted, however many others follow", () => {
  const moved = new MovedMessages();
  moved.note(1, 10);
  moved.note(2, 20);
  moved.note(1, 11);
  moved.forgetQueue(1);
  assert.deepEqual([...moved.entries()], [{ queueId: 2, messageId: 20, isForgotten: false }]);
  for (let id = 0; id <= stateLimits.movedMessagesMax; id += 1) moved.note(3, id);
  const forgotten = [...moved.entries()].filter(({ isForgotten }) => isForgotten);
  assert.deepEqual(
    forgotten.map(({ queueId }) => queueId),
    [2, 3],
  );
});
