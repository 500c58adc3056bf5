import { ProtocolError } from "@everhold/base";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { Field } from "./field.ts";
import {
  amount,
  blob,
  boolean,
  i32,
  i64,
  nullable,
  optional,
  simpleString,
  string,
} from "./fields.ts";
import { limits } from "./limits.ts";
import { struct } from "./struct.ts";

/** A name (address, queue, id) as SimpleString. */
export const name: Field<string> = simpleString(limits.nameCharactersMax);
/** The name of an address or a queue that is asked for, as SimpleString. */
export const askedName: Field<string> = simpleString(limits.askedNameCharactersMax);
/** The same, or null. */
export const optionalAskedName: Field<string | null> = nullable(askedName);
/** A selector as SimpleString, or null. */
export const optionalFilter: Field<string | null> = nullable(
  simpleString(limits.filterCharactersMax),
);
/** A name as SimpleString, or null. */
export const optionalName: Field<string | null> = nullable(name);
/** A name as String (session, node, user). */
export const nameString: Field<string> = string(limits.nameCharactersMax);
/** A name as String, or null. */
export const optionalNameString: Field<string | null> = nullable(nameString);
/** A text for people as String, or null. */
export const optionalText: Field<string | null> = nullable(string(limits.textCharactersMax));
/** `B?` */
export const optionalBoolean: Field<boolean | null> = optional(boolean);
/** `I?` */
export const optionalInteger: Field<number | null> = optional(i32);
/** `L?` */
export const optionalAmount: Field<number | null> = optional(amount);

/** The correlation id of a request that has none. */
export const noCorrelation = -1;
/** A correlation id; {@link noCorrelation} where the request carried none. */
export const correlationId: Field<number> = i64;

/** A transaction id of XA. The branch qualifier comes first on the wire. Source: Artemis, `XidCodecSupport`. */
export const xid = struct({
  formatId: i32,
  branchQualifier: blob(limits.xidPartBytesMax),
  globalTransactionId: blob(limits.xidPartBytesMax),
});

/** A parameter of a connector. `long` beyond ±(2^53 − 1) is brought to the nearest of them. */
export type ConnectorParameter =
  | { readonly type: "boolean"; readonly value: boolean }
  | { readonly type: "int" | "long"; readonly value: number }
  | { readonly type: "string"; readonly value: string };

const parameterTags = { boolean: 0, int: 1, long: 2, string: 3 } as const;
const parameterKey = string(limits.nameCharactersMax);
const parameterText = string(limits.textCharactersMax);

/** The parameters of a connector, by key. Source: Artemis, `TransportConfiguration`. */
export const connectorParameters: Field<ReadonlyMap<string, ConnectorParameter>> = {
  shape: { kind: "parameters" },
  write(writer, value, version) {
    if (value.size > limits.parameterCountMax) {
      throw new RangeError(
        `cannot write ${value.size} parameters: the limit is ${limits.parameterCountMax}`,
      );
    }
    writer.u32(value.size);
    for (const [key, parameter] of value) {
      parameterKey.write(writer, key, version);
      writer.u8(parameterTags[parameter.type]);
      writeParameter(writer, parameter, version);
    }
  },
  read(reader, version) {
    const count = reader.length(limits.parameterCountMax, 6, "connector parameters");
    const parameters = new Map<string, ConnectorParameter>();
    for (let index = 0; index < count; index += 1) {
      const key = parameterKey.read(reader, version);
      parameters.set(key, readParameter(reader, version));
    }
    return parameters;
  },
};

/** A connector: how to reach a broker. */
export const connector = struct({
  name: nameString,
  factoryClassName: nameString,
  parameters: connectorParameters,
});

/** The factory class that Java clients know for TCP. */
export const nettyConnectorFactory =
  "org.apache.activemq.artemis.core.remoting.impl.netty.NettyConnectorFactory";

function writeParameter(writer: ByteWriter, parameter: ConnectorParameter, version: number): void {
  switch (parameter.type) {
    case "boolean":
      boolean.write(writer, parameter.value, version);
      return;
    case "int":
      i32.write(writer, parameter.value, version);
      return;
    case "long":
      amount.write(writer, parameter.value, version);
      return;
    case "string":
      parameterText.write(writer, parameter.value, version);
      return;
  }
}

function readParameter(reader: ByteReader, version: number): ConnectorParameter {
  const tag = reader.u8();
  switch (tag) {
    case parameterTags.boolean:
      return { type: "boolean", value: boolean.read(reader, version) };
    case parameterTags.int:
      return { type: "int", value: i32.read(reader, version) };
    case parameterTags.long:
      return { type: "long", value: amount.read(reader, version) };
    case parameterTags.string:
      return { type: "string", value: parameterText.read(reader, version) };
    default:
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot read a connector parameter at byte ${reader.offset - 1}: found tag ${tag}, expected 0 to 3`,
      );
  }
}
