import assert from "node:assert/strict";
import { Session, type Runtime } from "node:inspector";

/** What is not looked into: the log belongs to the test. */
const left = new Set(["log", "#log"]);

/**
 * How many entries there are in all maps, sets and arrays that `root` leads to, private fields included, by the way
 * to them; those of one kind that hang on entries of a table count together.
 */
export function tableSizes(root: object): Map<string, number> {
  const sizes = new Map<string, number>();
  const shared = globalThis as { tableSizesRoot?: object; tableSizesSeen?: Set<object> };
  shared.tableSizesRoot = root;
  shared.tableSizesSeen = new Set();
  const session = new Session();
  session.connect();
  const { result } = ask<Runtime.EvaluateReturnType>(session, "Runtime.evaluate", {
    expression: "globalThis.tableSizesRoot",
  });
  visit(session, result, "", sizes);
  session.disconnect();
  delete shared.tableSizesRoot;
  delete shared.tableSizesSeen;
  return sizes;
}

function visit(
  session: Session,
  value: Runtime.RemoteObject | undefined,
  path: string,
  sizes: Map<string, number>,
): void {
  if (value?.objectId === undefined || value.type !== "object" || !isNew(session, value)) return;
  const count = /^\w+\((\d+)\)$/.exec(value.description ?? "")?.[1];
  if (count !== undefined) sizes.set(path, (sizes.get(path) ?? 0) + Number(count));
  if (value.subtype === "typedarray" || value.subtype === "arraybuffer") return;
  const found = ask<Runtime.GetPropertiesReturnType & PrivateProperties>(
    session,
    "Runtime.getProperties",
    { objectId: value.objectId, ownProperties: true },
  );
  const isTable = value.subtype === "map" || value.subtype === "set" || value.subtype === "array";
  for (const property of [...found.result, ...(found.privateProperties ?? [])]) {
    if (!left.has(property.name))
      visit(session, property.value, isTable ? `${path}[]` : `${path}.${property.name}`, sizes);
  }
  for (const property of found.internalProperties ?? []) {
    if (property.name === "[[Entries]]") visitEntries(session, property.value, `${path}[]`, sizes);
  }
}

function visitEntries(
  session: Session,
  entries: Runtime.RemoteObject | undefined,
  path: string,
  sizes: Map<string, number>,
): void {
  for (const { value } of propertiesOf(session, entries)) {
    if (value?.subtype !== "internal#entry") continue;
    for (const part of propertiesOf(session, value)) visit(session, part.value, path, sizes);
  }
}

function propertiesOf(
  session: Session,
  value: Runtime.RemoteObject | undefined,
): readonly Runtime.PropertyDescriptor[] {
  const query = { objectId: value?.objectId, ownProperties: true };
  return ask<Runtime.GetPropertiesReturnType>(session, "Runtime.getProperties", query).result;
}

/** Notes that an object is looked at; false when it was before. */
function isNew(session: Session, value: Runtime.RemoteObject): boolean {
  const { result } = ask<Runtime.CallFunctionOnReturnType>(session, "Runtime.callFunctionOn", {
    objectId: value.objectId,
    functionDeclaration:
      "function () { const seen = globalThis.tableSizesSeen; const { size } = seen; return seen.add(this).size > size; }",
    returnByValue: true,
  });
  return result.value === true;
}

interface PrivateProperties {
  readonly privateProperties?: readonly Runtime.PropertyDescriptor[];
}

/** The inspector answers before `post` returns. */
function ask<Answer>(session: Session, method: string, params: object): Answer {
  let answer: Answer | undefined;
  session.post(method, params, (error, result) => {
    assert.equal(error, null);
    answer = result as Answer;
  });
  assert.ok(answer !== undefined, `${method} answers at once`);
  return answer;
}
