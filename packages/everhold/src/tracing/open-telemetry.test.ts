import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import * as openTelemetry from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from "@opentelemetry/sdk-trace-base";
import { connect, type Connection } from "@everhold/client";
import { nodePorts } from "@everhold/node";
import { startBroker, type RunningBroker } from "../start-broker.ts";
import { traceWithOpenTelemetry } from "./open-telemetry.ts";

const silence = (): void => undefined;
const silent = { debug: silence, info: silence, warn: silence, error: silence };

describe("spans of a client", () => {
  const exporter = new InMemorySpanExporter();
  let folder: string;
  let broker: RunningBroker;
  let connection: Connection;
  let stop: () => void;

  before(async () => {
    openTelemetry.trace.setGlobalTracerProvider(
      new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    );
    openTelemetry.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    openTelemetry.propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    folder = mkdtempSync(join(tmpdir(), "everhold-tracing-"));
    const config = {
      data: "data",
      journal: { sync: "none", fileSize: "1MiB" },
      acceptors: { core: { url: "tcp://127.0.0.1:0" } },
    };
    broker = await startBroker(config, { folder, environment: {}, log: silent });
  });

  after(async () => {
    await broker.stop();
    rmSync(folder, { recursive: true });
    openTelemetry.trace.disable();
    openTelemetry.context.disable();
    openTelemetry.propagation.disable();
  });

  beforeEach(async () => {
    exporter.reset();
    stop = traceWithOpenTelemetry(openTelemetry);
    connection = await connect({ ...nodePorts(), log: silent }, broker.urls);
  });

  afterEach(async () => {
    stop();
    await connection.close();
  });

  function span(name: string): ReadableSpan {
    const found = exporter.getFinishedSpans().filter((one) => one.name === name);
    assert.equal(found.length, 1, `${name} of ${exporter.getFinishedSpans().map(nameOf).join()}`);
    const [only] = found;
    assert.ok(only);
    return only;
  }

  it("carry a trace from a send to the handler of its message, and into what the handler does", async () => {
    const tracer = openTelemetry.trace.getTracer("the application");
    let traceId = "";
    await tracer.startActiveSpan("order", async (order) => {
      ({ traceId } = order.spanContext());
      await connection.producer("orders").send("tea", { properties: { kind: "drink" } });
      order.end();
    });
    const handled = new AbortController();
    await connection.consumer("orders").run(
      async (message) => {
        assert.equal(message.properties["kind"], "drink");
        await connection.producer("bills").send("one tea");
        handled.abort();
      },
      { signal: handled.signal },
    );
    const send = span("send orders");
    const process = span("process orders");
    const answer = span("send bills");
    assert.deepEqual(
      [send, process, answer].map((one) => one.spanContext().traceId),
      [traceId, traceId, traceId],
    );
    assert.equal(send.parentSpanContext?.spanId, span("order").spanContext().spanId);
    assert.equal(process.parentSpanContext?.spanId, send.spanContext().spanId);
    assert.equal(answer.parentSpanContext?.spanId, process.spanContext().spanId);
    assert.equal(send.kind, openTelemetry.SpanKind.PRODUCER);
    assert.equal(process.kind, openTelemetry.SpanKind.CONSUMER);
    assert.equal(process.attributes["messaging.destination.name"], "orders");
    assert.equal(typeof process.attributes["messaging.message.id"], "string");
  });

  it("tell of connecting, receiving and settling", async () => {
    const connecting = span("connect");
    assert.equal(connecting.attributes["messaging.operation.name"], "connect");
    assert.equal(connecting.attributes["server.address"], "127.0.0.1");
    assert.equal(connecting.attributes["server.port"], Number(new URL(broker.urls[0] ?? "").port));
    await connection.producer("pairs").sendBatch([{ body: "one" }, { body: "two" }]);
    const consumer = connection.consumer("pairs");
    const message = await consumer.receive();
    await message?.ack();
    assert.equal(span("receive pairs").attributes["messaging.message.id"], message?.id);
    const settling = span("acknowledge pairs");
    assert.equal(settling.attributes["messaging.operation.type"], "settle");
    assert.equal(settling.attributes["messaging.message.id"], message?.id);
    for await (const next of consumer) {
      await next.reject("two is one too many");
      break;
    }
    span("reject pairs");
    assert.equal(exporter.getFinishedSpans().filter((one) => one.name === "send pairs").length, 2);
  });

  it("say what went wrong, and whether it may have taken effect", async () => {
    const producer = connection.producer("late");
    await producer.close();
    await assert.rejects(producer.send("too late"));
    const late = span("send late");
    assert.equal(late.status.code, openTelemetry.SpanStatusCode.ERROR);
    assert.equal(late.attributes["error.type"], "EVH_CLOSED");
    assert.equal(late.attributes["everhold.outcome"], "none");
    const consumer = connection.consumer("failing");
    await connection.producer("failing").send("bad");
    const handled = new AbortController();
    await consumer.run(
      () => {
        handled.abort();
        throw Object.assign(new Error("no tea left"), { retryable: false });
      },
      { signal: handled.signal },
    );
    const process = span("process failing");
    assert.equal(process.status.code, openTelemetry.SpanStatusCode.ERROR);
    assert.equal(process.status.message, "no tea left");
    assert.equal(process.attributes["error.type"], "_OTHER");
  });

  it("leave alone what the application has set itself", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await connection.producer("own").send("x", { properties: { traceparent } });
    const message = await connection.consumer("own").receive();
    assert.equal(message?.properties["traceparent"], traceparent);
  });

  it("are made no more once they are not wanted", async () => {
    stop();
    exporter.reset();
    await connection.producer("quiet").send("x");
    const message = await connection.consumer("quiet").receive();
    assert.equal(message?.properties["traceparent"], undefined);
    await message?.ack();
    assert.deepEqual(exporter.getFinishedSpans(), []);
  });
});

function nameOf({ name }: ReadableSpan): string {
  return name;
}
