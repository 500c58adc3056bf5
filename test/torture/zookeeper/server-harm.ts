import { setTimeout as pause } from "node:timers/promises";

import type { Ensemble } from "#zookeeper/ensemble.js";
import type { ZooKeeperServer } from "#zookeeper/zookeeper-server.js";

import type { Contenders } from "./contenders.ts";
import type { Fault, ServerFault } from "./faults.ts";

/** Harms servers, one at a time, so that the others can go on. */
export class ServerHarm {
  readonly #ensemble: Ensemble;
  readonly #contenders: Contenders;
  /** The one that is harmed now. */
  #harmed: ZooKeeperServer | undefined;

  constructor(ensemble: Ensemble, contenders: Contenders) {
    this.#ensemble = ensemble;
    this.#contenders = contenders;
  }

  /** Returns when it is over, and all servers serve; whether it came to pass. */
  async inflict(fault: Fault<ServerFault>): Promise<boolean> {
    try {
      return await this.#inflict(fault);
    } finally {
      this.#harmed = undefined;
      await this.#ensemble.startAll();
    }
  }

  /** A server that serves and is left alone, if there is one at this moment. */
  async healthy(): Promise<ZooKeeperServer | undefined> {
    for (const server of this.#ensemble.servers) {
      if (server === this.#harmed || !server.isAlive) continue;
      const mode = await server.mode();
      if (mode !== undefined && server !== this.#harmed) return server;
    }
    return undefined;
  }

  async #inflict(fault: Fault<ServerFault>): Promise<boolean> {
    switch (fault.kind) {
      case "leaderKilled":
        return this.#kill(await this.#ensemble.leader(), fault);
      case "followerKilled":
        return this.#kill(await this.#follower(fault), fault);
      case "serverStopped":
        return this.#stop(await this.#server(fault), fault);
      case "followerCutOff":
        return this.#cutOff(await this.#follower(fault), fault);
      case "rollingRestart":
        for (const server of this.#ensemble.servers) {
          this.#harmed = server;
          await server.stop();
          await server.start();
          await server.serves();
        }
        return true;
    }
  }

  async #kill(server: ZooKeeperServer | undefined, { durationMs }: Fault): Promise<boolean> {
    if (server === undefined) return false;
    this.#harmed = server;
    await server.kill();
    await pause(durationMs);
    return true;
  }

  async #stop(server: ZooKeeperServer | undefined, { durationMs }: Fault): Promise<boolean> {
    if (server === undefined) return false;
    this.#harmed = server;
    server.standStill();
    try {
      await pause(durationMs);
    } finally {
      server.goOn();
    }
    return true;
  }

  async #cutOff(server: ZooKeeperServer | undefined, { durationMs }: Fault): Promise<boolean> {
    if (server === undefined) return false;
    this.#harmed = server;
    this.#ensemble.cutOff(server);
    try {
      await pause(durationMs);
    } finally {
      this.#ensemble.rejoin(server);
    }
    return true;
  }

  /** The holder's where it is asked for and follows. */
  async #follower(fault: Fault): Promise<ZooKeeperServer | undefined> {
    const followers = await this.#ensemble.followers();
    const holders = fault.isAboutHolder ? await this.#holders() : undefined;
    const isFollower = holders !== undefined && followers.includes(holders);
    return isFollower ? holders : followers[Math.floor(fault.choice * followers.length)];
  }

  async #server(fault: Fault): Promise<ZooKeeperServer | undefined> {
    const { servers } = this.#ensemble;
    const holders = fault.isAboutHolder ? await this.#holders() : undefined;
    return holders ?? servers[Math.floor(fault.choice * servers.length)];
  }

  /** The server at which the holder is, as the servers say now. */
  async #holders(): Promise<ZooKeeperServer | undefined> {
    const id = this.#contenders.holder?.sessionId;
    for (const server of this.#ensemble.servers) {
      if (id === undefined) return undefined;
      if (new RegExp(`sid=0x0*${id},`).test(await server.command("cons"))) return server;
    }
    return undefined;
  }
}
