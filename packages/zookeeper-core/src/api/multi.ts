import { ProtocolError } from "@everhold/base";
import { refusedError, type ZooKeeperError } from "../errors.ts";
import type { MultiResult } from "../protocol/multi.ts";
import { operations } from "../protocol/operations.ts";
import type { RequestSpec } from "../session/request.ts";
import type { Caller } from "./caller.ts";
import type { MultiOperation, MultiReadOperation } from "./multi-operations.ts";
import { optionError, type RequestOptions } from "./request-options.ts";
import { requestSpec } from "./request-spec.ts";

/** What one read of a `multiRead` gave. */
export type ReadOutcome<Result> =
  | { readonly status: "fulfilled"; readonly value: Result }
  | { readonly status: "rejected"; readonly reason: ZooKeeperError };

/** The results of a list of operations, each at its place. */
export type MultiResultsOf<Operations extends readonly MultiOperation<unknown>[]> = {
  readonly [Index in keyof Operations]: Operations[Index] extends MultiOperation<infer Result>
    ? Result
    : never;
};

/** The outcomes of a list of reads, each at its place. */
export type ReadOutcomesOf<Reads extends readonly MultiReadOperation<unknown>[]> = {
  readonly [Index in keyof Reads]: Reads[Index] extends MultiReadOperation<infer Result>
    ? ReadOutcome<Result>
    : never;
};

const writeKinds: ReadonlySet<string> = new Set(["create", "setData", "delete", "check"]);
const readKinds: ReadonlySet<string> = new Set(["getData", "getChildren"]);

/** Does all of `list`, or nothing. */
export async function runMulti(
  caller: Caller,
  list: readonly MultiOperation<unknown>[],
  options: RequestOptions,
): Promise<readonly unknown[]> {
  const operation = operations.multi;
  checkKinds("do at once", list, writeKinds);
  const parts = list.map((one) => one.part(caller));
  const spec = decoding(requestSpec(operation, parts), list.length, (answers) => {
    const culprit = answers.findIndex((one) => one.kind === "error" && one.errorCode !== 0);
    if (culprit >= 0) return { refusal: refusalAt(list, answers, culprit) };
    return { results: list.map((one, index) => one.result(answerAt(answers, index), caller)) };
  });
  const answer = await caller.call(spec, options, "once");
  if ("refusal" in answer) throw answer.refusal;
  return answer.results;
}

/** Reads all of `list` in one request. */
export function runMultiRead(
  caller: Caller,
  list: readonly MultiReadOperation<unknown>[],
  options: RequestOptions & { readonly fresh?: boolean },
): Promise<readonly ReadOutcome<unknown>[]> {
  checkKinds("read at once", list, readKinds);
  const parts = list.map((one) => one.part(caller));
  const spec = decoding(requestSpec(operations.multiRead, parts), list.length, (answers) =>
    list.map((one, index): ReadOutcome<unknown> => {
      const answer = answerAt(answers, index);
      if (answer.kind !== "error") return { status: "fulfilled", value: one.result(answer) };
      return { status: "rejected", reason: refusalAt(list, answers, index) };
    }),
  );
  return caller.read(spec, options);
}

/** The same request, its answers read further. What does not fit is the server's fault. */
function decoding<T>(
  spec: RequestSpec<readonly MultiResult[]>,
  count: number,
  decode: (answers: readonly MultiResult[]) => T,
): RequestSpec<T> {
  return {
    operation: spec.operation,
    heldBytes: spec.heldBytes ?? 0,
    encode: (writer) => spec.encode(writer, false),
    decode(reader, header) {
      const answers = spec.decode(reader, header);
      if (answers.length === count) return decode(answers);
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot read the answer to a multi: found ${answers.length} results, expected ${count}`,
      );
    },
  };
}

function refusalAt(
  list: readonly { readonly kind: string; readonly path: string }[],
  answers: readonly MultiResult[],
  index: number,
): ZooKeeperError {
  const answer = answerAt(answers, index);
  const errorCode = answer.kind === "error" ? answer.errorCode : 0;
  const { kind, path } = list[index] ?? { kind: "do", path: "" };
  return refusedError({ operation: { name: verbs[kind] ?? kind }, path }, errorCode, index);
}

/** As the operations of their own are called in errors. */
const verbs: Readonly<Record<string, string>> = {
  setData: operations.setData.name,
  getData: operations.getData.name,
  getChildren: operations.getChildren.name,
};

function answerAt(answers: readonly MultiResult[], index: number): MultiResult {
  const answer = answers[index];
  if (answer !== undefined) return answer;
  throw new ProtocolError("EVH_PROTOCOL", `cannot read the answer to a multi: no result ${index}`);
}

/** A program without types may well mix what changes and what reads. */
function checkKinds(
  attempt: string,
  list: readonly { readonly kind: string }[],
  kinds: ReadonlySet<string>,
): void {
  for (const [index, { kind }] of list.entries()) {
    if (kinds.has(kind)) continue;
    throw optionError(attempt, `operations[${index}]`, kind, `one of ${[...kinds].join(", ")}`);
  }
}
