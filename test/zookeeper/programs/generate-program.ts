import { Prng } from "@everhold/base";
import { ByteWriter, writeValue, type Field } from "@everhold/wire";
import { operations, type MultiPart } from "@everhold/zookeeper-core";

import {
  accessLists,
  badPaths,
  firstPaths,
  dataOf,
  flagsOf,
  logins,
  refusedScheme,
  root,
  sequentialPrefixes,
  treePaths,
  versions,
} from "./program-values.ts";
import { show, type Program, type RequestName, type SeenZxid, type Step } from "./step.ts";

/** How many sessions a program has at most. */
const sessionCountMax = 3;

/** What happens how often. The tree must fill before there is much to see. */
const kinds = [
  ...times(22, "create"),
  ...times(8, "delete"),
  ...times(10, "setData"),
  ...times(12, "read"),
  ...times(12, "watchingRead"),
  ...times(6, "addWatch"),
  ...times(3, "removeWatches"),
  ...times(2, "checkWatches"),
  ...times(8, "multi"),
  ...times(2, "multiRead"),
  ...times(4, "acl"),
  ...times(3, "auth"),
  ...times(3, "about"),
  ...times(4, "reconnect"),
  ...times(2, "setWatches"),
  ...times(2, "close"),
  ...times(1, "wrong"),
] as const;

/** A program of a seed, the same every time. */
export function generateProgram(seed: number, stepCount: number): Program {
  return { seed, steps: new Generator(new Prng(seed)).steps(stepCount) };
}

class Generator {
  readonly #prng: Prng;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  steps(count: number): Step[] {
    const steps: Step[] = [];
    const sessions = this.#prng.integer(1, sessionCountMax);
    for (let session = 0; session < sessions; session += 1) {
      steps.push({ kind: "open", session, timeoutMs: pick(this.#prng, [60_000, 45_000, 100_000]) });
    }
    steps.push(...this.#beginnings());
    while (steps.length < count) steps.push(...this.#next(this.#prng.integer(0, sessions - 1)));
    return steps;
  }

  /** A tree, most of the time, so that later steps find nodes. */
  #beginnings(): Step[] {
    const paths = firstPaths.filter(() => this.#prng.chance(0.6));
    return paths.map((path) => {
      const body = { path, data: dataOf(this.#prng), acl: accessLists.open, flags: 0 };
      return request(0, "create2", operations.create2.request, body);
    });
  }

  #next(session: number): Step[] {
    const path = this.#path();
    switch (pick(this.#prng, kinds)) {
      case "create":
        return [this.#create(session)];
      case "delete":
        return [request(session, "delete", operations.delete.request, this.#versioned(path))];
      case "setData": {
        const body = { ...this.#versioned(path), data: dataOf(this.#prng) };
        return [request(session, "setData", operations.setData.request, body)];
      }
      case "read":
        return [this.#read(session, false)];
      case "watchingRead":
        return [this.#read(session, true)];
      case "addWatch": {
        const mode = this.#prng.chance(0.05) ? 7 : this.#prng.integer(0, 1);
        return [request(session, "addWatch", operations.addWatch.request, { path, mode })];
      }
      case "removeWatches":
      case "checkWatches":
        return [this.#aboutWatches(session, path)];
      case "multi":
        return [{ kind: "multi", session, parts: this.#parts() }];
      case "multiRead":
        return [{ kind: "multiRead", session, parts: this.#readParts() }];
      case "acl":
        return [this.#acl(session, path)];
      case "auth": {
        const { scheme, auth } = pick(this.#prng, logins);
        const body = { type: 0, scheme, auth: new TextEncoder().encode(auth) };
        const login = request(session, "auth", operations.auth.request, body);
        return scheme === refusedScheme ? [login, this.#back(session)] : [login];
      }
      case "about":
        return [this.#about(session, path)];
      case "reconnect":
        return this.#reconnect(session);
      case "setWatches":
        return [this.#setWatches(session)];
      case "close":
        return this.#close(session);
      default:
        return [this.#wrong(session, path), this.#back(session)];
    }
  }

  #back(session: number): Step {
    return { kind: "resume", session, lastZxid: "seen", password: "right", serversOn: 0 };
  }

  #create(session: number): Step {
    const { operation, ...body } = this.#creation();
    if (operation === "createTtl") {
      const ttlMs = pick(this.#prng, [3_600_000n, 1n << 39n, 0n, -1n, 1n << 41n]);
      const { request: field } = operations.createTtl;
      return request(session, operation, field, { ...body, ttlMs });
    }
    return request(session, operation, operations.create2.request, body);
  }

  #creation(): Creation {
    const flags = flagsOf(this.#prng);
    const isSequential = flags === 2 || flags === 3 || flags === 6;
    const path = isSequential ? pick(this.#prng, sequentialPrefixes) : this.#path();
    const acl = this.#prng.chance(0.8) ? accessLists.open : pick(this.#prng, accessLists.all);
    return { operation: this.#wayToCreate(flags), path, data: dataOf(this.#prng), acl, flags };
  }

  /** The operation that is meant for these flags, at times another one. */
  #wayToCreate(flags: number): Creation["operation"] {
    // Never the one with a time to live for other nodes: a server takes it, fails for good, and does not start again.
    if (flags !== 5 && flags !== 6) {
      const isContainer = flags === 4 ? this.#prng.chance(0.8) : this.#prng.chance(0.05);
      return isContainer ? "createContainer" : pick(this.#prng, ["create", "create2"]);
    }
    return this.#prng.chance(0.9) ? "createTtl" : "create2";
  }

  #read(session: number, watch: boolean): Step {
    const operation = pick(this.#prng, ["getData", "exists", "getChildren", "getChildren2"]);
    const body = { path: this.#path(), watch };
    return request(session, operation, operations.getData.request, body);
  }

  #aboutWatches(session: number, path: string): Step {
    const type = pick(this.#prng, [1, 2, 3, 3, 4, 5, 9]);
    const operation = pick(this.#prng, ["removeWatches", "removeWatches", "checkWatches"]);
    return request(session, operation, operations.removeWatches.request, { path, type });
  }

  #acl(session: number, path: string): Step {
    if (this.#prng.chance(0.4)) {
      return request(session, "getAcl", operations.getAcl.request, { path });
    }
    const acl = pick(this.#prng, accessLists.all);
    const aversion = pick(this.#prng, versions);
    return request(session, "setAcl", operations.setAcl.request, { path, acl, aversion });
  }

  #about(session: number, path: string): Step {
    const operation = pick(this.#prng, ["whoAmI", "getEphemerals", "countDescendants", "sync"]);
    if (operation === "whoAmI") return request(session, operation, operations.whoAmI.request, {});
    if (operation === "getEphemerals") {
      const prefix = pick(this.#prng, [path, root, "/"]);
      return request(session, operation, operations.getEphemerals.request, { prefix });
    }
    return request(session, operation, operations.sync.request, { path });
  }

  #reconnect(session: number): Step[] {
    const lastZxid = pick<SeenZxid>(this.#prng, [
      "seen",
      "seen",
      "seen",
      "none",
      "start",
      "future",
    ]);
    const password = this.#prng.chance(0.1) ? "wrong" : "right";
    const serversOn = this.#prng.integer(0, 2);
    const resume: Step = { kind: "resume", session, lastZxid, password, serversOn };
    const steps: Step[] = this.#prng.chance(0.4) ? [] : [{ kind: "drop", session }];
    // What others do meanwhile is what there is to catch up with.
    while (steps.length > 0 && steps.length < 5 && this.#prng.chance(0.6)) {
      steps.push(this.#create((session + 1) % sessionCountMax));
    }
    steps.push(resume);
    const isRefused = lastZxid === "future" || password === "wrong";
    if (isRefused) steps.push({ ...resume, lastZxid: "seen", password: "right", serversOn: 0 });
    return [...steps, this.#setWatches(session)];
  }

  #setWatches(session: number): Step {
    const some = (): string[] =>
      Array.from({ length: this.#prng.integer(0, 2) }, () => this.#path());
    const lastZxid = pick<SeenZxid>(this.#prng, ["seen", "seen", "start", "none", "future"]);
    const lists = {
      data: some(),
      exists: some(),
      children: some(),
      persistent: some(),
      persistentRecursive: some(),
    };
    return { kind: "setWatches", session, lastZxid, lists };
  }

  #close(session: number): Step[] {
    const close = request(session, "closeSession", operations.closeSession.request, {});
    const open: Step = { kind: "open", session, timeoutMs: 60_000 };
    if (this.#prng.chance(0.7)) return [close, open];
    return [
      close,
      { kind: "resume", session, lastZxid: "seen", password: "right", serversOn: 0 },
      open,
    ];
  }

  /** What no client sends: an unknown operation, a body that ends too early, one that is too long for a server. */
  #wrong(session: number, path: string): Step {
    switch (this.#prng.integer(0, 2)) {
      case 0:
        return { kind: "bytes", session, code: 77, body: new Uint8Array() };
      case 1: {
        const { code } = pick(this.#prng, [
          operations.getData,
          operations.delete,
          operations.exists,
        ]);
        return {
          kind: "bytes",
          session,
          code,
          body: encode(operations.sync.request, { path }).subarray(0, 6),
        };
      }
      default: {
        const body = { path, data: new Uint8Array(1_200_000), version: -1 };
        return request(session, "setData", operations.setData.request, body);
      }
    }
  }

  #parts(): MultiPart[] {
    return Array.from({ length: this.#prng.integer(0, 4) }, () => this.#part());
  }

  #part(): MultiPart {
    const kind = pick(this.#prng, ["create", "create", "setData", "delete", "check"]);
    const path = this.#path();
    if (kind === "setData") return { kind, ...this.#versioned(path), data: dataOf(this.#prng) };
    if (kind !== "create") return { kind, ...this.#versioned(path) };
    const { operation, ...body } = this.#creation();
    return operation === "createTtl"
      ? { kind: operation, ...body, ttlMs: 3_600_000n }
      : { kind: operation, ...body };
  }

  #readParts(): MultiPart[] {
    return Array.from({ length: this.#prng.integer(0, 3) }, () => ({
      kind: pick(this.#prng, ["getData", "getChildren"]),
      path: this.#path(),
      watch: false,
    }));
  }

  #versioned(path: string): { path: string; version: number } {
    return { path, version: pick(this.#prng, versions) };
  }

  #path(): string {
    return pick(this.#prng, this.#prng.chance(0.04) ? badPaths : treePaths);
  }
}

interface Creation {
  readonly operation: "create" | "create2" | "createContainer" | "createTtl";
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly acl: (typeof accessLists.all)[number];
  readonly flags: number;
}

function request<T>(session: number, operation: RequestName, field: Field<T>, body: T): Step {
  return { kind: "request", session, operation, body: encode(field, body), text: show(body) };
}

function encode<T>(field: Field<T>, value: T): Uint8Array {
  const writer = new ByteWriter();
  writeValue(field, writer, value);
  return writer.toBytes();
}

function times<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}

function pick<const T>(prng: Prng, values: readonly T[]): T {
  const index = prng.integer(0, values.length - 1);
  for (const value of values.slice(index)) return value;
  throw new Error("there is nothing to choose from");
}
