import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NodeLog } from "./log.ts";
import { brokerEnvironment, nodePorts } from "./ports.ts";

const { timers, random, hash, wallClock, monotonicClock } = nodePorts();

describe("digests", () => {
  it("are those that the world knows by their names", () => {
    const { digests } = nodePorts();
    const hex = (algorithm: "md5" | "sha1"): string =>
      Buffer.from(digests?.digest(algorithm, Buffer.from("abc")) ?? []).toString("hex");
    assert.equal(hex("md5"), "900150983cd24fb0d6963f7d28e17f72");
    assert.equal(hex("sha1"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  });
});

describe("message authentication codes", () => {
  it("are HMAC-SHA-256, as in RFC 4231", () => {
    const { macs } = nodePorts();
    const bytes = Buffer.from("what do ya want for nothing?");
    const mac = macs?.hmacSha256(Buffer.from("Jefe"), bytes) ?? [];
    assert.equal(
      Buffer.from(mac).toString("hex"),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
  });
});

describe("timers", () => {
  it("a task runs after its delay and never inside the call that asked for it", async () => {
    const startMs = monotonicClock.nowMs();
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      // In this order: a machine that stands still between the two calls must not turn them round.
      timers.after(0, () => order.push("at once"));
      timers.after(5, () => {
        order.push("task");
        resolve();
      });
      order.push("asked");
    });
    assert.deepEqual(order, ["asked", "at once", "task"]);
    assert.ok(monotonicClock.nowMs() - startMs >= 5);
  });

  it("a cancelled task does not run, and a delay beyond Node's own limit does not run early", async () => {
    const ran: string[] = [];
    timers.after(0, () => ran.push("cancelled")).cancel();
    const far = timers.after(2 ** 40, () => ran.push("far"));
    await new Promise<void>((resolve) => void timers.after(3, resolve));
    far.cancel();
    far.cancel();
    assert.deepEqual(ran, []);
  });

  it("tasks of a turn's end run in order, and those they ask for in the next turn", async () => {
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      timers.atTurnEnd(() => {
        order.push("first");
        timers.atTurnEnd(() => {
          order.push("next turn");
          resolve();
        });
      });
      timers.atTurnEnd(() => order.push("second"));
      queueMicrotask(() => order.push("promise"));
    });
    assert.deepEqual(order, ["promise", "first", "second", "next turn"]);
  });
});

describe("clocks, randomness and checksums", () => {
  it("the wall clock is whole milliseconds, the other one does not go back", () => {
    assert.ok(Number.isInteger(wallClock.nowMs()));
    const before = monotonicClock.nowMs();
    assert.ok(monotonicClock.nowMs() >= before);
  });

  it("random numbers span 32 bits and buffers of any size are filled", () => {
    const high = Array.from({ length: 4000 }, () => random.uint32());
    assert.ok(high.some((value) => value > 0xf000_0000));
    assert.ok(high.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32));
    assert.equal(new Set(high).size > 3990, true);
    for (const size of [0, 16, 4096, 5000]) {
      const bytes = new Uint8Array(size);
      random.fill(bytes);
      if (size > 0) assert.ok(bytes.some((byte) => byte !== 0));
    }
  });

  it("the checksum is CRC-32 of IEEE 802.3 and continues from a seed", () => {
    const bytes = new TextEncoder().encode("123456789");
    assert.equal(hash.crc32(bytes, 0), 0xcbf43926);
    const first = hash.crc32(bytes.subarray(0, 4), 0);
    assert.equal(hash.crc32(bytes.subarray(4), first), 0xcbf43926);
  });
});

describe("the log", () => {
  const at = Date.UTC(2026, 0, 2, 3, 4, 5, 6);

  function logged(options: { format?: "human" | "json"; colours?: boolean }): string[] {
    const lines: string[] = [];
    const write = (line: string): void => void lines.push(line);
    const log = new NodeLog({ colours: false, ...options, write, nowMs: () => at });
    log.debug("Hidden");
    log.info("The broker listens", { host: "127.0.0.1", port: 61616, name: undefined, ok: true });
    log.warn("A peer is odd\nforged", { text: "a b\n2026 error forged" });
    return lines;
  }

  it("a human line tells time, level, message and fields, and stays one line", () => {
    const [first, second] = logged({});
    assert.match(
      first ?? "",
      /^\d\d:\d\d:05\.006 info {2}The broker listens {2}host=127\.0\.0\.1 port=61616 ok=true\n$/,
    );
    assert.match(
      second ?? "",
      /warn {2}A peer is odd\\nforged {2}text="a b\\n2026 error forged"\n$/,
    );
  });

  it("colours are for terminals", () => {
    assert.ok((logged({ colours: true })[0] ?? "").includes("\u001B[32minfo"));
  });

  it("a JSON line has the same facts", () => {
    const lines = logged({ format: "json" });
    assert.equal(lines.length, 2, "a line below the level is dropped");
    assert.deepEqual(JSON.parse(lines[0] ?? ""), {
      time: "2026-01-02T03:04:05.006Z",
      level: "info",
      message: "The broker listens",
      host: "127.0.0.1",
      port: 61616,
      ok: true,
    });
  });
});

describe("the environment of a broker's process", () => {
  it("asks for enough file threads, unless the user has asked for others", () => {
    assert.equal(brokerEnvironment({})["UV_THREADPOOL_SIZE"], "16");
    assert.equal(brokerEnvironment({ UV_THREADPOOL_SIZE: "64" })["UV_THREADPOOL_SIZE"], "64");
  });
});
