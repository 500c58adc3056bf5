import { EverholdError, ProtocolError } from "@everhold/base";
import type { LoginVerdict } from "@everhold/env";
import { noCorrelation, packets, type PacketOf } from "@everhold/wire";

import { loginRefusal } from "../engine/login-refusal.ts";
import { limits } from "../limits.ts";
import type { CoreConnection } from "./core-connection.ts";
import { firstSessionChannel } from "./channels.ts";
import { CoreSession } from "./core-session.ts";
import { exceptionOf } from "./exception-packet.ts";
import { OrderedSteps, type OrderedStep } from "./ordered-steps.ts";
import { Reattachments } from "./reattachments.ts";
import { isSupportedVersion, versionNewest } from "./versions.ts";

type Creation = PacketOf<typeof packets.createSession>;

/**
 * Channel 1 of a connection: who asks there for a session, new or old, gets it if they may have it. Answers
 * name nobody, so they keep the order of the requests, also while a password is checked or a session is taken up.
 */
export class Admission {
  readonly #link: CoreConnection;
  /** The last packet was a reattachment that was refused. */
  #followsReattachment = false;
  #reattachments: Reattachments | undefined;
  /** What was asked for while a password is checked, or a session taken up again. */
  #waiting: OrderedSteps | undefined;

  constructor(link: CoreConnection) {
    this.#link = link;
  }

  /** Whether somebody waits for an answer of ours. */
  get isBusy(): boolean {
    return (this.#waiting?.count ?? 0) > 0;
  }

  /** The connection has drained. */
  drained(): void {
    this.#reattachments?.drained();
  }

  /** Forgets what has not been answered: the connection has ended. */
  clear(): void {
    this.#waiting?.clear();
  }

  /**
   * Handles the packet under way; false when it does not belong to this channel.
   * @throws ProtocolError when it is not valid
   */
  onPacket(id: number): boolean {
    const link = this.#link;
    const followsReattachment = this.#followsReattachment;
    this.#followsReattachment = false;
    switch (id) {
      case packets.createSession.id:
        this.#admit(link.read(packets.createSession), followsReattachment);
        return true;
      case packets.createSessionV2.id:
        this.#admit(link.read(packets.createSessionV2), false);
        return true;
      case packets.reattachSession.id:
        this.#reattach(link.read(packets.reattachSession));
        return true;
      case packets.checkForFailover.id:
        link.read(packets.checkForFailover);
        this.#inOrder(() => {
          link.write(packets.checkForFailoverReply, 1, { okToFailover: true });
        });
        return true;
      default:
        return false;
    }
  }

  /** Takes a session up again, which may have to wait for commits and for the connection; then answers. */
  #reattach(request: PacketOf<typeof packets.reattachSession>): void {
    this.#reattachments ??= new Reattachments(this.#link);
    const reattachments = this.#reattachments;
    let found: number | undefined;
    this.#addStep({
      prepare: (onReady) => {
        reattachments.begin(request, (lastHandled) => {
          found = lastHandled;
          onReady();
        });
        // It sees by itself that the connection has ended.
        return () => undefined;
      },
      run: () => {
        const reattached = found !== undefined;
        this.#followsReattachment = !reattached;
        const value = { lastConfirmedCommandId: found ?? -1, reattached };
        this.#link.write(packets.reattachSessionResponse, 1, value);
      },
    });
  }

  /**
   * Opens a session once it is known who asks for it. A connection has one password checked at a time, so that
   * one that asks for many sessions takes no more of the time for checks than others.
   */
  #admit(request: Creation, isRecreation: boolean): void {
    const link = this.#link;
    const { logins } = link.server;
    if (logins?.isRequired !== true || !isSupportedVersion(request.version)) {
      this.#inOrder(() => {
        this.#createSession(request, isRecreation, "welcome");
      });
      return;
    }
    let verdict: LoginVerdict = "refused";
    this.#addStep({
      prepare: (onReady) =>
        logins.check(request.username, request.password, (found) => {
          verdict = found;
          onReady();
        }),
      run: () => {
        this.#createSession(request, isRecreation, verdict);
      },
    });
  }

  /** Runs what was asked for: at once, or behind what waits. */
  #inOrder(run: () => void): void {
    if (this.isBusy) this.#addStep({ run });
    else run();
  }

  /** @throws ProtocolError when the client asks for ever more and does not wait for an answer */
  #addStep(step: OrderedStep): void {
    this.#waiting ??= new OrderedSteps((advance) => {
      this.#onReady(advance);
    });
    if (this.#waiting.count >= limits.sessionsPerConnectionMax) {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot take a request of channel 1: ${limits.sessionsPerConnectionMax} wait for an answer, which is the limit`,
      );
    }
    this.#waiting.add(step);
  }

  #onReady(advance: () => void): void {
    const link = this.#link;
    if (link.isClosed || link.engine.isHalted) return;
    try {
      advance();
    } catch (error) {
      if (!(error instanceof EverholdError)) throw error;
      link.fail(error);
    }
    link.engine.endStep();
  }

  #createSession(request: Creation, isRecreation: boolean, verdict: LoginVerdict): void {
    const link = this.#link;
    try {
      this.#check(request, verdict);
    } catch (error) {
      if (!(error instanceof EverholdError) || error instanceof ProtocolError) throw error;
      link.write(packets.exception, 1, exceptionOf(error, noCorrelation));
      return;
    }
    link.fixVersion(request.version);
    const session = new CoreSession(link, {
      name: request.name,
      user: request.username,
      channelId: request.sessionChannelId,
      isXa: request.xa,
      autoCommitSends: request.autoCommitSends,
      autoCommitAcks: request.autoCommitAcks,
      preAcknowledge: request.preAcknowledge,
      defaultAddress: request.defaultAddress ?? undefined,
      confirmationWindowBytes: request.confirmationWindowSize,
      minLargeMessageBytes: request.minLargeMessageSize,
      isRecreation,
    });
    link.table.add(session);
    link.server.sessionCountTotal += 1;
    link.engine.notifications.sessionChanged("SESSION_CREATED", session.session);
    link.becomeKnown();
    link.write(packets.createSessionResponse, 1, { serverVersion: versionNewest });
  }

  /** @throws EverholdError EVH_VERSION, EVH_SECURITY, EVH_NOT_READY, EVH_ILLEGAL_STATE */
  #check(request: Creation, verdict: LoginVerdict): void {
    const { version, sessionChannelId, username } = request;
    const { table, server, peer } = this.#link;
    if (!isSupportedVersion(version)) {
      throw new EverholdError(
        "EVH_VERSION",
        `cannot serve a client of protocol version ${version}, the newest known here is ${versionNewest}`,
      );
    }
    if (verdict !== "welcome") {
      if (verdict === "refused") server.refusedLogin(peer, username ?? "");
      throw loginRefusal(verdict);
    }
    if (table.size >= limits.sessionsPerConnectionMax) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `the connection has ${table.size} sessions, which is the limit`,
      );
    }
    if (sessionChannelId < firstSessionChannel || table.get(sessionChannelId) !== undefined) {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot open a session on channel ${sessionChannelId}: expected a free one of at least ${firstSessionChannel}`,
      );
    }
  }
}
