import { assert } from "@everhold/base";

/** What JSON can say: arguments and results of management. */
export type ManagementValue =
  | null
  | boolean
  | number
  | string
  | readonly ManagementValue[]
  | { readonly [name: string]: ManagementValue };

/** A value, or the promise of one where messages have to be read from the disk or there are many of them. */
export type Outcome = ManagementValue | Promise<ManagementValue>;

/** What a parameter may be. */
export type ParameterType = "string" | "integer" | "boolean" | "map";

/**
 * What a result is. `json` is a structure of its own, `page` one of `{ data, count }` whose `data` are
 * flat objects; other protocols than HTTP may have to send both as text.
 */
export type ResultType =
  | "nothing"
  | "string"
  | "integer"
  | "number"
  | "boolean"
  | "strings"
  | "json"
  | "page";

/** One parameter of an operation: `T` is what the handler gets. */
export interface Parameter<T> {
  readonly type: ParameterType;
  readonly doc: string;
  readonly isNullable: boolean;
  /** The argument as the handler wants it, `undefined` when it is of another type. */
  read(value: ManagementValue): T | undefined;
}

/** A parameter by its name, for documents and failures. */
export interface ParameterInfo {
  readonly name: string;
  readonly type: ParameterType;
  readonly doc: string;
  readonly isNullable: boolean;
}

/** Something that can be done to a resource of which the handler needs `T`. */
export interface Operation<T> {
  readonly name: string;
  readonly doc: string;
  readonly parameters: readonly ParameterInfo[];
  readonly result: ResultType;
  /** Whether these arguments are of the right number and types. */
  accepts(values: readonly ManagementValue[]): boolean;
  /** Does it. Only with arguments that are accepted. @throws EverholdError */
  run(target: T, values: readonly ManagementValue[]): Outcome;
}

/** Something that can be read of a resource of which the handler needs `T`. */
export interface Attribute<T> {
  /** With a capital letter, as in `MessageCount`. */
  readonly name: string;
  readonly doc: string;
  readonly result: ResultType;
  /** @throws EverholdError when it cannot be found out */
  read(target: T): Outcome;
}

type ParameterTable = Readonly<Record<string, Parameter<unknown>>>;
type ArgumentsOf<P extends ParameterTable> = {
  readonly [K in keyof P]: P[K] extends Parameter<infer T> ? T : never;
};

/** How an operation is written down; the order of `parameters` is that of the arguments. */
export interface OperationDefinition<T, P extends ParameterTable> {
  readonly doc: string;
  readonly parameters?: P;
  readonly result: ResultType;
  run(target: T, values: ArgumentsOf<P>): Outcome;
}

/** A function that makes operations of resources of which handlers need `T`. */
export function operationsOf<T>() {
  return <P extends ParameterTable>(
    name: string,
    definition: OperationDefinition<T, P>,
  ): Operation<T> => {
    const parameters = Object.entries<Parameter<unknown>>(definition.parameters ?? {});
    return {
      name,
      doc: definition.doc,
      result: definition.result,
      parameters: parameters.map(([key, { type, doc, isNullable }]) => {
        return { name: key, type, doc, isNullable };
      }),
      accepts: (values) =>
        values.length === parameters.length &&
        parameters.every(([, one], index) => one.read(values[index] ?? null) !== undefined),
      run: (target, values) => definition.run(target, readArguments<P>(parameters, values)),
    };
  };
}

/** A text. */
export const text = (doc: string): Parameter<string> => {
  return { type: "string", doc, isNullable: false, read: asText };
};

/** A text, or `null`. */
export const optionalText = (doc: string): Parameter<string | null> => orNull(text(doc));

/** A whole number. */
export const integer = (doc: string): Parameter<number> => {
  return { type: "integer", doc, isNullable: false, read: asInteger };
};

/** A whole number, or `null`. */
export const optionalInteger = (doc: string): Parameter<number | null> => orNull(integer(doc));

/** True or false. */
export const flag = (doc: string): Parameter<boolean> => {
  return { type: "boolean", doc, isNullable: false, read: asFlag };
};

/** True, false, or `null`. */
export const optionalFlag = (doc: string): Parameter<boolean | null> => orNull(flag(doc));

/** An object of texts, or `null` for an empty one. */
export const texts = (doc: string): Parameter<ReadonlyMap<string, string>> => {
  return { type: "map", doc, isNullable: true, read: asTexts };
};

/** The result of an operation that has none, whatever the call for it gave. */
export function done(_given: unknown): null {
  return null;
}

/** `name(parameter: type, …): result`, as failures and documents show it. */
export function signatureOf(operation: Operation<never>): string {
  const parameters = operation.parameters.map(
    ({ name, type, isNullable }) => `${name}: ${type}${isNullable ? " or null" : ""}`,
  );
  return `${operation.name}(${parameters.join(", ")})`;
}

function orNull<T>(parameter: Parameter<T>): Parameter<T | null> {
  return {
    type: parameter.type,
    doc: parameter.doc,
    isNullable: true,
    read: (value) => (value === null ? null : parameter.read(value)),
  };
}

function asText(value: ManagementValue): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function asInteger(value: ManagementValue): number | undefined {
  return Number.isSafeInteger(value) && typeof value === "number" ? value : undefined;
}

function asFlag(value: ManagementValue): boolean | undefined {
  return typeof value === "boolean" ? value : undefined;
}

function asTexts(value: ManagementValue): ReadonlyMap<string, string> | undefined {
  if (value === null) return new Map();
  if (typeof value !== "object" || Array.isArray(value)) return undefined;
  const entries = new Map<string, string>();
  for (const [name, entry] of Object.entries<ManagementValue>(value)) {
    if (entry === null || typeof entry === "object") return undefined;
    entries.set(name, String(entry));
  }
  return entries;
}

/** The arguments by name. They were accepted before. */
function readArguments<P extends ParameterTable>(
  parameters: readonly (readonly [string, Parameter<unknown>])[],
  values: readonly ManagementValue[],
): ArgumentsOf<P> {
  const found = new Map(
    parameters.map(([name, one], index) => [name, one.read(values[index] ?? null)]),
  );
  const named: unknown = Object.fromEntries(found);
  assert(isComplete<P>(found, named), "arguments are read once they are accepted");
  return named;
}

/** No type follows a loop over the keys that make it; that every argument was read is what it says. */
function isComplete<P extends ParameterTable>(
  found: ReadonlyMap<string, unknown>,
  _named: unknown,
): _named is ArgumentsOf<P> {
  return [...found.values()].every((value) => value !== undefined);
}
