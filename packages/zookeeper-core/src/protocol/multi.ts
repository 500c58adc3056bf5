import { ProtocolError } from "@everhold/base";
import {
  type ByteReader,
  type ByteWriter,
  type Field,
  flag,
  i32,
  struct,
  type ValueOf,
} from "@everhold/wire";
import {
  childrenOnly,
  createRequest,
  createTtlRequest,
  dataAndStat,
  errorCodeOnly,
  pathAndStat,
  pathAndVersion,
  pathAndWatch,
  pathOnly,
  setDataRequest,
  statOnly,
} from "./records.ts";

type CreateBody = ValueOf<typeof createRequest>;
type VersionBody = ValueOf<typeof pathAndVersion>;
type WatchBody = ValueOf<typeof pathAndWatch>;

/**
 * One part: a multi may have all but the reads, a multiRead only the reads. `check` exists nowhere else: alone it
 * breaks the ensemble (ZOOKEEPER-2623).
 */
export type MultiPart =
  | ({ readonly kind: "create" | "create2" | "createContainer" } & CreateBody)
  | ({ readonly kind: "createTtl" } & ValueOf<typeof createTtlRequest>)
  | ({ readonly kind: "setData" } & ValueOf<typeof setDataRequest>)
  | ({ readonly kind: "delete" | "check" } & VersionBody)
  | ({ readonly kind: "getData" | "getChildren" } & WatchBody);

/**
 * The answer to one part. Every way of creating but the oldest is answered by `create2`. An `error` of number 0
 * stands for a part before the one that failed: it had no effect either.
 */
export type MultiResult =
  | ({ readonly kind: "create" } & ValueOf<typeof pathOnly>)
  | ({ readonly kind: "create2" } & ValueOf<typeof pathAndStat>)
  | ({ readonly kind: "setData" } & ValueOf<typeof statOnly>)
  | { readonly kind: "delete" | "check" }
  | ({ readonly kind: "getData" } & ValueOf<typeof dataAndStat>)
  | ({ readonly kind: "getChildren" } & ValueOf<typeof childrenOnly>)
  | ({ readonly kind: "error" } & ValueOf<typeof errorCodeOnly>);

/** The numbers of the parts. */
const codes = {
  create: 1,
  delete: 2,
  getData: 4,
  setData: 5,
  getChildren: 8,
  check: 13,
  create2: 15,
  createContainer: 19,
  createTtl: 21,
  error: -1,
} as const;

const partHeader = struct({ code: i32, isEnd: flag, errorCode: i32 });
const endHeader: ValueOf<typeof partHeader> = { code: -1, isEnd: true, errorCode: -1 };
const partHeaderBytes = 9;

/** What a multi or multiRead asks for. Which kinds are allowed in which is up to who sends. */
export const multiRequest: Field<readonly MultiPart[]> = {
  shape: { kind: "foreign", notation: "multi", bytesMin: partHeaderBytes },
  write(writer, parts) {
    for (const part of parts) {
      partHeader.write(writer, { code: codes[part.kind], isEnd: false, errorCode: -1 }, 0);
      writePart(writer, part);
    }
    partHeader.write(writer, endHeader, 0);
  },
  read: (reader) => readParts(reader, (code) => readPart(reader, code)),
};

/** What a multi or multiRead is answered with. Source: ZooKeeper, `MultiResponse`. */
export const multiReply: Field<readonly MultiResult[]> = {
  shape: { kind: "foreign", notation: "multi results", bytesMin: partHeaderBytes },
  write(writer, results) {
    for (const result of results) {
      const errorCode = result.kind === "error" ? result.errorCode : 0;
      partHeader.write(writer, { code: codes[result.kind], isEnd: false, errorCode }, 0);
      writeResult(writer, result);
    }
    partHeader.write(writer, endHeader, 0);
  },
  read: (reader) => readParts(reader, (code) => readResult(reader, code)),
};

function writePart(writer: ByteWriter, part: MultiPart): void {
  switch (part.kind) {
    case "create":
    case "create2":
    case "createContainer":
      return createRequest.write(writer, part, 0);
    case "createTtl":
      return createTtlRequest.write(writer, part, 0);
    case "setData":
      return setDataRequest.write(writer, part, 0);
    case "delete":
    case "check":
      return pathAndVersion.write(writer, part, 0);
    case "getData":
    case "getChildren":
      return pathAndWatch.write(writer, part, 0);
  }
}

function readPart(reader: ByteReader, code: number): MultiPart | undefined {
  switch (code) {
    case codes.create:
      return { kind: "create", ...createRequest.read(reader, 0) };
    case codes.create2:
      return { kind: "create2", ...createRequest.read(reader, 0) };
    case codes.createContainer:
      return { kind: "createContainer", ...createRequest.read(reader, 0) };
    case codes.createTtl:
      return { kind: "createTtl", ...createTtlRequest.read(reader, 0) };
    case codes.setData:
      return { kind: "setData", ...setDataRequest.read(reader, 0) };
    case codes.delete:
      return { kind: "delete", ...pathAndVersion.read(reader, 0) };
    case codes.check:
      return { kind: "check", ...pathAndVersion.read(reader, 0) };
    case codes.getData:
      return { kind: "getData", ...pathAndWatch.read(reader, 0) };
    case codes.getChildren:
      return { kind: "getChildren", ...pathAndWatch.read(reader, 0) };
    default:
      return undefined;
  }
}

function writeResult(writer: ByteWriter, result: MultiResult): void {
  switch (result.kind) {
    case "create":
      return pathOnly.write(writer, result, 0);
    case "create2":
      return pathAndStat.write(writer, result, 0);
    case "setData":
      return statOnly.write(writer, result, 0);
    case "delete":
    case "check":
      return;
    case "getData":
      return dataAndStat.write(writer, result, 0);
    case "getChildren":
      return childrenOnly.write(writer, result, 0);
    case "error":
      return errorCodeOnly.write(writer, result, 0);
  }
}

function readResult(reader: ByteReader, code: number): MultiResult | undefined {
  switch (code) {
    case codes.create:
      return { kind: "create", ...pathOnly.read(reader, 0) };
    case codes.create2:
      return { kind: "create2", ...pathAndStat.read(reader, 0) };
    case codes.setData:
      return { kind: "setData", ...statOnly.read(reader, 0) };
    case codes.delete:
      return { kind: "delete" };
    case codes.check:
      return { kind: "check" };
    case codes.getData:
      return { kind: "getData", ...dataAndStat.read(reader, 0) };
    case codes.getChildren:
      return { kind: "getChildren", ...childrenOnly.read(reader, 0) };
    case codes.error:
      return { kind: "error", ...errorCodeOnly.read(reader, 0) };
    default:
      return undefined;
  }
}

/** All up to the end mark. Each takes the bytes of its header, so there are no more than the input has room for. */
function readParts<T>(reader: ByteReader, readBody: (code: number) => T | undefined): T[] {
  const parts: T[] = [];
  for (;;) {
    const start = reader.offset;
    const { code, isEnd } = partHeader.read(reader, 0);
    if (isEnd) return parts;
    const part = readBody(code);
    if (part === undefined) {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot read part ${parts.length} of a multi at byte ${start}: found type ${code}, expected one that a multi may have`,
      );
    }
    parts.push(part);
  }
}
