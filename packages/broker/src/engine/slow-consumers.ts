import { EverholdError } from "@everhold/base";
import type { MonotonicClock, Timer, Timers } from "@everhold/env";

import { limits } from "../limits.ts";
import type { AddressSettings } from "../settings/setting-table.ts";
import type { Consumer } from "./consumer.ts";
import type { Engine } from "./engine.ts";
import type { LiveQueue } from "./live-queue.ts";

/** What is known of a queue since the last look at its consumers. */
interface Watch {
  checkedMs: number;
  addedCount: number;
  /** Of each consumer: what it had settled, and whether it had anything to do. */
  readonly consumers: Map<Consumer, { settledCount: number; isBusy: boolean; isSlow: boolean }>;
}

const unitSeconds = {
  messagesPerSecond: 1,
  messagesPerMinute: 60,
  messagesPerHour: 3_600,
  messagesPerDay: 86_400,
} as const;

/**
 * Looks now and then for consumers that settle fewer messages than the settings of their address want:
 * somebody is told, or their connection ends. Source: Artemis, `QueueImpl.SlowConsumerReaperRunnable`.
 *
 * As there, a queue must have, or have got, enough messages for all its consumers to reach the threshold.
 * Beyond that a consumer counts only when it had something to do all the time: it held messages at the
 * last look and holds some now, or there were some and it did not take them. So one whose filter matches
 * nothing, or that waits for messages, is not slow; in Artemis it may be.
 */
export class SlowConsumers {
  readonly #engine: Engine;
  readonly #timers: Timers;
  readonly #clock: MonotonicClock;
  readonly #watched = new Map<LiveQueue, Watch>();
  #timer: Timer | undefined;
  #dueMs = Infinity;
  #isStopped = false;

  constructor(engine: Engine, timers: Timers, clock: MonotonicClock) {
    this.#engine = engine;
    this.#timers = timers;
    this.#clock = clock;
  }

  /** A queue has a consumer, or its settings may have changed. Cheap where nobody wants to know. */
  watch(queue: LiveQueue): void {
    if (queue.address.settings.slowConsumerThreshold < 0 || this.#isStopped) return;
    if (queue.takerCount === 0 || queue.isDeleted || this.#watched.has(queue)) return;
    const checkedMs = this.#clock.nowMs();
    const consumers: Watch["consumers"] = new Map();
    const watch = { checkedMs, addedCount: queue.counts.addedTotal, consumers };
    this.#watched.set(queue, watch);
    this.#arm(checkedMs + periodMs(queue.address.settings));
  }

  /** From now on nobody is looked at. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#watched.clear();
  }

  #arm(dueMs: number): void {
    if (dueMs >= this.#dueMs) return;
    this.#timer?.cancel();
    this.#dueMs = dueMs;
    this.#timer = this.#timers.after(Math.max(0, dueMs - this.#clock.nowMs()), this.#onTimer);
  }

  readonly #onTimer = (): void => {
    this.#dueMs = Infinity;
    this.#timer = undefined;
    if (this.#isStopped) return;
    const nowMs = this.#clock.nowMs();
    let nextMs = Infinity;
    for (const [queue, watch] of this.#watched) {
      const { settings } = queue.address;
      if (queue.isDeleted || queue.takerCount === 0 || settings.slowConsumerThreshold < 0) {
        this.#watched.delete(queue);
        continue;
      }
      if (nowMs - watch.checkedMs >= periodMs(settings)) this.#check(queue, watch, nowMs);
      nextMs = Math.min(nextMs, watch.checkedMs + periodMs(settings));
    }
    if (nextMs < Infinity) this.#arm(nextMs);
    this.#engine.endStep();
    this.#engine.outputs.flush();
  };

  #check(queue: LiveQueue, watch: Watch, nowMs: number): void {
    const { settings } = queue.address;
    const seconds = (nowMs - watch.checkedMs) / 1000;
    const added = queue.counts.addedTotal - watch.addedCount;
    watch.checkedMs = nowMs;
    watch.addedCount = queue.counts.addedTotal;
    const perSecond =
      settings.slowConsumerThreshold / unitSeconds[settings.slowConsumerThresholdMeasurementUnit];
    const wanted = perSecond * queue.takerCount;
    const hasEnough = added / seconds >= wanted || queue.state.messageCount >= wanted;
    const known = new Map(watch.consumers);
    watch.consumers.clear();
    const slow: { consumer: Consumer; rate: number; isNew: boolean }[] = [];
    for (const consumer of queue.consumers) {
      // One whose client is away, and may come back, is not slow.
      if (consumer.isBrowser || consumer.session.sink.link.isParked) continue;
      const before = known.get(consumer);
      const settledCount = consumer.acknowledgedCount;
      const isBusy = hasSomethingToDo(consumer);
      const rate = (settledCount - (before?.settledCount ?? settledCount)) / seconds;
      const wasBusy = before?.isBusy === true;
      const isSlow = hasEnough && wasBusy && isBusy && (rate < perSecond || rate === 0);
      watch.consumers.set(consumer, { settledCount, isBusy, isSlow });
      if (isSlow) slow.push({ consumer, rate, isNew: !(before?.isSlow ?? false) });
    }
    for (const { consumer, rate, isNew } of slow) this.#onSlow(consumer, rate, perSecond, isNew);
  }

  #onSlow(consumer: Consumer, rate: number, perSecond: number, isNew: boolean): void {
    // Its connection may have ended with another one's.
    if (consumer.isClosed) return;
    const { queue, session } = consumer;
    const { slowConsumerPolicy } = queue.address.settings;
    const { link } = session.sink;
    if (isNew) {
      this.#engine.log.warn("A consumer is slow", {
        queue: queue.name,
        session: session.logName,
        consumer: consumer.id,
        peer: link.peer,
        messagesPerSecond: Math.round(rate * 100) / 100,
        expected: perSecond,
        policy: slowConsumerPolicy,
      });
    }
    if (slowConsumerPolicy === "notify") {
      this.#engine.notifications.consumerSlow(consumer);
      return;
    }
    link.kill(
      new EverholdError(
        "EVH_SLOW_CONSUMER",
        `a consumer of "${queue.name}" settled ${rate.toFixed(2)} messages a second, at least ${perSecond} are expected`,
      ),
    );
  }
}

function periodMs({ slowConsumerCheckPeriod }: AddressSettings): number {
  return Math.max(limits.slowConsumerCheckMsMin, slowConsumerCheckPeriod);
}

/** Whether it holds messages, or leaves those that are there. */
function hasSomethingToDo(consumer: Consumer): boolean {
  if (consumer.deliveries.count > 0) return true;
  const takesNone = !consumer.isUnlimited && consumer.credits <= 0;
  return takesNone && consumer.queue.state.readyCount > 0;
}
