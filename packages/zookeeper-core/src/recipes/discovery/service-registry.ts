import { ClosedError, EventHub, type EverholdError, type Outcome } from "@everhold/base";
import { onWaitEnd, waitBegun, type WaitOptions } from "@everhold/env";
import { checkPath, optionError } from "../../api/request-options.ts";
import { bounded } from "../../api/retry-loop.ts";
import { type ReadOptions, ZooKeeper } from "../../api/zookeeper.ts";
import type { HeldNode } from "../../managed/held-node.ts";
import { childOf } from "../../protocol/paths.ts";
import { asEverholdError } from "../../session/session-errors.ts";
import { type ReadChild, readChildren, readNames } from "../children.ts";
import { NodeCache } from "../cache/node-cache.ts";
import { discoveryLimits } from "./discovery-limits.ts";
import {
  instanceOf,
  instanceBytes,
  readInstance,
  type ServiceDescription,
  type ServiceInstance,
} from "./service-instance.ts";
import { type ProviderOptions, ServiceProvider } from "./service-provider.ts";

/** An instance that is registered, for as long as it is not taken back. */
export interface ServiceRegistration {
  /** As it was registered, or updated, last. */
  readonly instance: ServiceInstance;
  /** Its node, which tells of conflicts and of sessions that were over. */
  readonly node: HeldNode;
  /** Says something else of it; the name and the id stay. No time limit by default. @throws EverholdError EVH_CONFIG */
  update(service: Omit<ServiceDescription, "name" | "id">, wait?: WaitOptions): Promise<void>;
  /** Takes it back. Idempotent. */
  unregister(wait?: WaitOptions): Promise<void>;
}

/** What happens in a registry. */
export type ServiceRegistryEvent =
  /** The node at `path` is no instance; it is left out. */
  | { readonly type: "invalid"; readonly path: string; readonly error: EverholdError }
  /** It is closed; the last event. */
  | { readonly type: "closed" };

/**
 * Services and where they are to be had, as Curator's `ServiceDiscovery`: in the same nodes and the same JSON, so that
 * programs in Java see what is registered here, and the other way round. What is registered is there again in the next
 * session when one is over; an instance of somebody else under the same id is never touched. What a registry says may be
 * old, and of two that are both registered for something that only one may do a fencing token tells which it is.
 *
 * @example
 * const services = new ServiceRegistry(client, "/services");
 * await services.register({ name: "orders", address: "10.0.0.7", port: 8080 });
 * const orders = services.provider("orders");
 * await orders.start();
 * const { address, port } = orders.pick() ?? {};
 */
export class ServiceRegistry {
  readonly path: string;
  readonly #client: ZooKeeper;
  readonly #events = new EventHub<ServiceRegistryEvent>({
    last: "closed",
    unreadCountMax: discoveryLimits.unreadEventCountMax,
  });
  readonly #held = new Set<HeldNode>();
  /** What goes on, and what resolves when that has left nothing behind but what is held. */
  readonly #registering = new Map<AbortController, Promise<void>>();
  readonly #providers = new Set<ServiceProvider>();
  #isClosed = false;

  /** @throws TypeError; ZooKeeperError EVH_PATH */
  constructor(client: ZooKeeper, path: string) {
    checkPath("register services below", path);
    this.path = path;
    this.#client = client;
  }

  /**
   * Registers an instance, and resolves when it is there. The time limit is the client's by default.
   * @throws ZooKeeperError with reason NODEEXISTS where somebody else has registered the id
   * @throws EverholdError EVH_CONFIG, also for more than 256 KiB of JSON; EVH_CLOSED, and as of `hold`
   */
  async register(
    service: ServiceDescription,
    wait: WaitOptions = {},
  ): Promise<ServiceRegistration> {
    this.#checkOpen();
    let instance = instanceOf(service, () => this.#randomId());
    const { name, id } = instance;
    const path = childOf(childOf(this.path, name), id);
    const call = new AbortController();
    const holding = this.#hold(path, instanceBytes(instance), wait, call);
    const left = holding.then(
      () => undefined,
      () => ZooKeeper.whenLetGo(this.#client, path),
    );
    this.#registering.set(call, left);
    const forget = (): void => void this.#registering.delete(call);
    left.then(forget, forget);
    const node = await holding;
    return {
      node,
      get instance(): ServiceInstance {
        return instance;
      },
      async update(other, limits = {}) {
        const next = instanceOf({ ...instance, ...other, name, id }, () => id);
        const bytes = instanceBytes(next);
        instance = next;
        await node.update(bytes, limits);
      },
      unregister: (limits = {}) => node.release(limits),
    };
  }

  /** The names of services that somebody has registered once; some may have no instances left. @throws as `getChildren` */
  async names(options: ReadOptions = {}): Promise<string[]> {
    this.#checkOpen();
    return [...(await readNames(this.#client, this.path, options))].toSorted();
  }

  /**
   * The instances of a service by their ids, those that are not enabled included, as the servers have them. The time
   * limit is that of one read, for all. @throws as `getData`
   */
  async instances(name: string, options: ReadOptions = {}): Promise<ServiceInstance[]> {
    this.#checkOpen();
    const path = this.#pathOf(name);
    const call = bounded(ZooKeeper.callerOf(this.#client).context, options);
    const ids = [...(await readNames(this.#client, path, call))].toSorted();
    const children = await readChildren(this.#client, path, ids, call);
    return children.flatMap((child) => this.#instanceIn(child) ?? []);
  }

  /** Follows a service, once it is started; closed with the registry. @throws EverholdError EVH_CONFIG, EVH_CLOSED */
  provider(name: string, options: ProviderOptions = {}): ServiceProvider {
    this.#checkOpen();
    const onInvalid = (path: string, error: EverholdError): void => this.#tellInvalid(path, error);
    const onClosed = (): void => void this.#providers.delete(provider);
    const cache = new NodeCache(this.#client, this.#pathOf(name), { depth: 1 });
    const service = { name, cache, onInvalid, onClosed };
    const provider: ServiceProvider = new ServiceProvider(this.#client, service, options);
    this.#providers.add(provider);
    return provider;
  }

  /** What happens from now on; ends when it is closed. */
  events(): AsyncIterableIterator<ServiceRegistryEvent> {
    return this.#events.read();
  }

  /** Calls `listener` at each event of one type, until the returned function is called. */
  on<K extends ServiceRegistryEvent["type"]>(
    type: K,
    listener: (event: Extract<ServiceRegistryEvent, { readonly type: K }>) => void,
  ): () => void {
    return this.#events.on(type, listener);
  }

  /**
   * Takes back all that was registered with it, or is about to be, and closes its providers. Idempotent. No time limit
   * by default.
   */
  async close(wait: WaitOptions = {}): Promise<void> {
    const left = [...this.#registering.values()];
    if (!this.#isClosed) {
      this.#isClosed = true;
      for (const call of this.#registering.keys()) call.abort(this.#closedError());
      for (const provider of [...this.#providers]) provider.close();
      this.#events.emit({ type: "closed" }, ZooKeeper.reporterOf(this.#client));
    }
    const { ports } = ZooKeeper.callerOf(this.#client).context;
    const releasing = [...this.#held].map((node) => node.release());
    const attempt = `close the registry ${this.path}`;
    await waitBegun(ports, wait, attempt, Promise.all([...left, ...releasing]));
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #hold(
    path: string,
    data: Uint8Array,
    wait: WaitOptions,
    call: AbortController,
  ): Promise<HeldNode> {
    const { ports } = ZooKeeper.callerOf(this.#client).context;
    const limits = { deadlineMs: Infinity, signal: wait.signal };
    let outcome: Outcome = "none";
    const subject = { attempt: `register ${path}`, outcome: () => outcome };
    const forget = onWaitEnd(ports, limits, subject, (error) => call.abort(error));
    const { signal } = call;
    try {
      if (signal.aborted) throw signal.reason;
      outcome = "unknown";
      const node = await this.#client.hold(path, data, { parents: "container", ...wait, signal });
      if (signal.aborted) {
        node.release().catch(() => undefined);
        throw signal.reason;
      }
      this.#held.add(node);
      node.on("released", () => void this.#held.delete(node));
      return node;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      forget();
    }
  }

  #instanceIn({ path, data }: ReadChild): ServiceInstance | undefined {
    try {
      return readInstance(data);
    } catch (error) {
      this.#tellInvalid(path, asEverholdError(error));
      return undefined;
    }
  }

  #pathOf(name: string): string {
    if (typeof name !== "string" || name === "" || name.includes("/")) {
      throw optionError("look for a service", "name", name, "a name without slashes");
    }
    return childOf(this.path, name);
  }

  #tellInvalid(path: string, error: EverholdError): void {
    const event = { type: "invalid", path, error } as const;
    this.#events.emit(event, ZooKeeper.reporterOf(this.#client));
  }

  #checkOpen(): void {
    if (this.#isClosed) throw this.#closedError();
  }

  #closedError(): ClosedError {
    return new ClosedError("EVH_CLOSED", `The registry of services below ${this.path} is closed`);
  }

  #randomId(): string {
    const bytes = new Uint8Array(16);
    ZooKeeper.callerOf(this.#client).context.ports.random.fill(bytes);
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}
