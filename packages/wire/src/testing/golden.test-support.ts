import { readFileSync } from "node:fs";
import { fromHex } from "@everhold/test-world";

/** A file of `testdata`. */
export function testData(name: string): string {
  return readFileSync(new URL(`../../testdata/${name}`, import.meta.url), "utf8");
}

/** One block of `testdata/packets.txt`. */
export interface GoldenPacket {
  readonly name: string;
  readonly version: number;
  readonly channelId: number;
  readonly value: Record<string, unknown>;
  readonly frame: Uint8Array;
}

/** Every block of `testdata/packets.txt`. */
export function goldenPackets(): GoldenPacket[] {
  const blocks = testData("packets.txt")
    .split("\n\n")
    .map((block) => block.split("\n").filter((line) => line !== "" && !line.startsWith("#")))
    .filter((lines) => lines.length > 0);
  return blocks.map(([head = "", json = "{}", hex = ""]) => {
    const [name = "", version, channelId] = head.split(" ");
    const value: Record<string, unknown> = JSON.parse(json, reviveValue);
    return {
      name,
      version: Number(version),
      channelId: Number(channelId),
      value,
      frame: fromHex(hex),
    };
  });
}

function reviveValue(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("hex" in value && typeof value.hex === "string") return fromHex(value.hex);
  if ("map" in value && Array.isArray(value.map)) return new Map(value.map);
  return value;
}
