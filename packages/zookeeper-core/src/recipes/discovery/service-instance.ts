import { EverholdError, ProtocolError } from "@everhold/base";
import { optionError } from "../../api/request-options.ts";
import { discoveryLimits } from "./discovery-limits.ts";

const serviceTypes = ["DYNAMIC", "STATIC", "PERMANENT", "DYNAMIC_SEQUENTIAL"] as const;

/** How long an instance stays, in Curator's words: `DYNAMIC` goes with the session of whoever registered it. */
export type ServiceType = (typeof serviceTypes)[number];

/** One part of the pattern of a service's address. */
export interface UriPart {
  readonly value: string;
  /** Whether `value` is the name of something to put in. */
  readonly variable: boolean;
}

/** One place where a service is to be had. The fields are those of Curator's `ServiceInstance`, as it writes them. */
export interface ServiceInstance {
  readonly name: string;
  readonly id: string;
  readonly address: string | null;
  readonly port: number | null;
  readonly sslPort: number | null;
  /** Any JSON. Java's programs expect the name of their class in an object's field `@class`. */
  readonly payload: unknown;
  /** Milliseconds since 1970. */
  readonly registrationTimeUTC: number;
  readonly serviceType: ServiceType;
  readonly uriSpec: { readonly parts: readonly UriPart[] } | null;
  /** Whether it is to be used. */
  readonly enabled: boolean;
}

/** What an application says of an instance; the rest is null. */
export interface ServiceDescription extends Partial<
  Pick<
    ServiceInstance,
    "address" | "port" | "sslPort" | "payload" | "registrationTimeUTC" | "uriSpec" | "enabled"
  >
> {
  /** A name without slashes. */
  readonly name: string;
  /** A name without slashes. Default: a random one. */
  readonly id?: string;
}

/** The instance of a description, checked. `registrationTimeUTC` is 0 by default. @throws EverholdError EVH_CONFIG */
export function instanceOf(service: ServiceDescription, randomId: () => string): ServiceInstance {
  const { name, id = randomId(), address = null, port = null, sslPort = null } = service;
  const { payload = null, registrationTimeUTC = 0, uriSpec = null, enabled = true } = service;
  const instance = {
    ...{ name, id, address, port, sslPort, payload, registrationTimeUTC },
    ...{ serviceType: "DYNAMIC" as const, uriSpec, enabled },
  };
  const problem = problemOf(new Map(Object.entries(instance)));
  if (problem !== undefined) {
    throw optionError("register a service", problem.name, problem.found, problem.expected);
  }
  return instance;
}

/** As Curator's `JsonInstanceSerializer` writes it. @throws EverholdError EVH_CONFIG */
export function instanceBytes(instance: ServiceInstance): Uint8Array {
  const bytes = new TextEncoder().encode(textOf(instance));
  const { instanceBytesMax } = discoveryLimits;
  if (bytes.length <= instanceBytesMax) return bytes;
  throw new EverholdError(
    "EVH_CONFIG",
    `Cannot register a service: the instance ${instance.id} is ${bytes.length} bytes of JSON, expected up to ` +
      `${instanceBytesMax}`,
  );
}

function textOf(instance: ServiceInstance): string {
  try {
    return JSON.stringify(instance);
  } catch (error) {
    // Nothing but the payload is anybody else's.
    const problem = "Cannot register a service: option payload can't be written as JSON";
    throw new EverholdError("EVH_CONFIG", problem, { cause: error });
  }
}

/** What a node holds. @throws ProtocolError EVH_PROTOCOL */
export function readInstance(data: Uint8Array | null): ServiceInstance {
  const length = data?.length ?? 0;
  if (data === null || length === 0 || length > discoveryLimits.instanceBytesMax) {
    const expected = `JSON of up to ${discoveryLimits.instanceBytesMax}`;
    throw invalid(`found ${length} bytes, expected ${expected}`);
  }
  const fields = fieldsOf(data);
  const problem = problemOf(fields);
  if (problem !== undefined) {
    const { name, found, expected } = problem;
    throw invalid(`field ${name} is ${JSON.stringify(found) ?? "missing"}, expected ${expected}`);
  }
  const type = fields.get("serviceType");
  const enabled = fields.get("enabled");
  return {
    name: text(fields.get("name")) ?? "",
    id: text(fields.get("id")) ?? "",
    address: text(fields.get("address")),
    port: count(fields.get("port")),
    sslPort: count(fields.get("sslPort")),
    payload: fields.get("payload") ?? null,
    registrationTimeUTC: count(fields.get("registrationTimeUTC")) ?? 0,
    serviceType: serviceTypes.find((one) => one === type) ?? "DYNAMIC",
    uriSpec: uriSpecOf(fields.get("uriSpec")),
    // Curator's older versions do not write it.
    enabled: enabled !== false,
  };
}

function fieldsOf(data: Uint8Array): ReadonlyMap<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch (error) {
    throw invalid("it is no JSON", error);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return new Map(Object.entries(value));
  }
  throw invalid("found no object, expected the fields of an instance");
}

/** The first field that can't be. */
function problemOf(
  fields: ReadonlyMap<string, unknown>,
): { readonly name: string; readonly found: unknown; readonly expected: string } | undefined {
  const check = (
    names: readonly string[],
    expected: string,
    isGood: (value: unknown) => boolean,
  ): { name: string; found: unknown; expected: string } | undefined => {
    const name = names.find((one) => !isGood(fields.get(one)));
    return name === undefined ? undefined : { name, found: fields.get(name), expected };
  };
  const isNone = (value: unknown): boolean => value === undefined || value === null;
  const isNumber = (max: number) => (value: unknown) =>
    isNone(value) || (Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= max);
  return (
    check(["name", "id"], "a name without slashes", isName) ??
    check(["address"], "a text or null", (one) => isNone(one) || typeof one === "string") ??
    check(["port", "sslPort"], "a number from 0 to 65535, or null", isNumber(65_535)) ??
    check(["registrationTimeUTC"], "milliseconds", isNumber(Number.MAX_SAFE_INTEGER)) ??
    check(["serviceType"], `one of ${serviceTypes.join(", ")}`, (value) =>
      serviceTypes.some((one) => value === undefined || one === value),
    ) ??
    check(["enabled"], "true or false", (one) => one === undefined || typeof one === "boolean") ??
    check(
      ["uriSpec"],
      "null, or parts with a value",
      (one) => isNone(one) || uriSpecOf(one) !== null,
    )
  );
}

function isName(value: unknown): boolean {
  return typeof value === "string" && value !== "" && !value.includes("/");
}

function uriSpecOf(value: unknown): ServiceInstance["uriSpec"] {
  if (typeof value !== "object" || value === null || !("parts" in value)) return null;
  if (!Array.isArray(value.parts)) return null;
  const found: readonly unknown[] = value.parts;
  const parts: UriPart[] = [];
  for (const part of found) {
    if (typeof part !== "object" || part === null || !("value" in part)) return null;
    if (typeof part.value !== "string") return null;
    parts.push({ value: part.value, variable: "variable" in part && part.variable === true });
  }
  return { parts };
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function count(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function invalid(problem: string, cause?: unknown): ProtocolError {
  const message = `cannot read an instance of a service: ${problem}`;
  return new ProtocolError("EVH_PROTOCOL", message, cause === undefined ? {} : { cause });
}
