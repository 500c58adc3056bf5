import type { Connector } from "./connector.ts";
import type { NodePair } from "./topology.ts";

/**
 * What a broker that leads a group knows of it and its clients are told. These are levels: they are read at the start and
 * whenever `Serving.topologyChanged` is called.
 */
export interface TopologySource {
  /** The number of the reign: greater than that of every broker that served these clients before. At most 2^32 - 1. */
  readonly epoch: number;
  /** Who comes next: of the standbys that are in sync the first. Null: nobody, as far as is known. */
  readonly backup: Connector | null;
}

/** How many changes one epoch may number; the ones behind these get the last number, and old clients miss them. */
const changesPerEpoch = 2 ** 20;

/**
 * Above every wall clock for two centuries. A client of Artemis notes by its own clock when a node said goodbye, and
 * heeds nothing that is numbered lower: numbers from the clock of another machine could be.
 */
const groupEventIdBase = 2 ** 43;

/** What clients are told of the node that this broker is, or serves for. */
export class NodeTopology implements NodePair {
  readonly nodeId: string;
  readonly primary: Connector | null;
  backup: Connector | null = null;
  eventId: number;
  readonly #source: TopologySource | undefined;
  #epoch = 0;
  #changeCount = 0;

  /** Without a source, of a broker that is alone: `nowMs` numbers what it tells, so that it grows from start to start. */
  constructor(
    nodeId: string,
    connector: Connector | undefined,
    source: TopologySource | undefined,
    nowMs: number,
  ) {
    this.nodeId = nodeId;
    this.primary = connector ?? null;
    this.#source = source;
    this.eventId = nowMs;
    this.refresh();
  }

  /** Takes in what the source says now; whether that is news. */
  refresh(): boolean {
    if (this.#source === undefined) return false;
    const { epoch, backup } = this.#source;
    if (epoch === this.#epoch && isSame(backup, this.backup)) return false;
    this.#changeCount = epoch === this.#epoch ? this.#changeCount + 1 : 0;
    this.#epoch = epoch;
    this.backup = backup;
    const change = Math.min(this.#changeCount, changesPerEpoch - 1);
    this.eventId = groupEventIdBase + epoch * changesPerEpoch + change;
    return true;
  }
}

function isSame(a: Connector | null, b: Connector | null): boolean {
  if (a === null || b === null) return a === b;
  return a.host === b.host && a.port === b.port && (a.tls ?? false) === (b.tls ?? false);
}
