/** Layer 1: CORE packets, frames and messages, each defined once as data. */
export * from "./byte-reader.ts";
export * from "./byte-writer.ts";
export * from "./text-codec.ts";
export * from "./field.ts";
export * from "./fields.ts";
export * from "./struct.ts";
export * from "./typed-properties.ts";
export * from "./core-fields.ts";
export * from "./packet.ts";
export * from "./packets/packets.ts";
export * from "./limits.ts";
