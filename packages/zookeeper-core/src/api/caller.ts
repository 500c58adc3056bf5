import { operations } from "../protocol/operations.ts";
import { joinPath, type PathUse, withoutPrefix } from "../protocol/paths.ts";
import type { Requests, RequestSpec, RequestWait } from "../session/request.ts";
import type { RunAfterwards } from "./afterwards.ts";
import { checkPath } from "./request-options.ts";
import { requestSpec } from "./request-spec.ts";
import {
  type BoundedOptions,
  type Repetition,
  type RetryContext,
  withRetry,
} from "./retry-loop.ts";

/** What the calls of one client share. */
export interface CallContext extends RetryContext {
  /** The session there is; 0n while there is none. */
  readonly sessionId: () => bigint;
  /** Does something though nobody waits for it. */
  readonly afterwards: RunAfterwards;
}

/** The calls of one client below one prefix: paths there and back, attempts, and errors in the caller's words. */
export class Caller {
  readonly requests: Requests;
  readonly context: CallContext;
  /** What comes before each path on the server: chroot and namespace; "" for nothing. */
  readonly prefix: string;

  constructor(requests: Requests, context: CallContext, prefix: string) {
    this.requests = requests;
    this.context = context;
    this.prefix = prefix;
  }

  /** The path on the server, checked. @throws TypeError; ZooKeeperError EVH_PATH */
  serverPath(attempt: string, path: string, use?: PathUse): string {
    checkPath(attempt, path, use);
    // Digits behind the slash of "/" are a name; behind the prefix alone they would be beside it.
    return use?.isSequential === true ? this.prefix + path : joinPath(this.prefix, path);
  }

  /** The path as the caller knows it, of one on the server. */
  callerPath(serverPath: string): string {
    return withoutPrefix(this.prefix, serverPath) ?? serverPath;
  }

  /** One request, again where that can do no harm. */
  call<T>(spec: RequestSpec<T>, options: BoundedOptions, repetition: Repetition): Promise<T> {
    return this.attempts(options, repetition, (wait) => this.send(spec, wait));
  }

  /**
   * A read; with `fresh` behind a `sync` on the same connection, so that what it says is at least as new as the call.
   */
  read<T>(
    spec: RequestSpec<T>,
    options: BoundedOptions & { readonly fresh?: boolean },
  ): Promise<T> {
    if (options.fresh !== true) return this.call(spec, options, "repeatable");
    return this.attempts(options, "repeatable", (wait) => this.readFresh(spec, wait));
  }

  /** As {@link read} with `fresh`, once. */
  async readFresh<T>(spec: RequestSpec<T>, wait: RequestWait): Promise<T> {
    const path = spec.path ?? "/";
    const synced = this.send(requestSpec(operations.sync, { path }, path), wait);
    const read = this.send(spec, wait);
    // The read counts only behind a sync that was answered; whichever fails first is what the caller learns.
    const [, value] = await Promise.all([synced, read]);
    return value;
  }

  /** Attempts of whatever kind. */
  attempts<T>(
    options: BoundedOptions,
    repetition: Repetition,
    attempt: (wait: RequestWait) => Promise<T>,
  ): Promise<T> {
    return withRetry(this.context, options, repetition, attempt);
  }

  /** One request, once. */
  send<T>(spec: RequestSpec<T>, wait: RequestWait): Promise<T> {
    const { path } = spec;
    if (this.prefix === "" || path === undefined) return this.requests.request(spec, wait);
    return this.requests.request({ ...spec, shownPath: this.callerPath(path) }, wait);
  }
}
