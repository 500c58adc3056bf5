import type { EverholdError } from "@everhold/base";

/** Why one endpoint could not be connected to. */
export interface EndpointFailure {
  readonly url: string;
  readonly error: EverholdError;
}

/** A round through all known brokers that failed. */
export interface RoundFailure {
  /** Which round it was, from 1. */
  readonly attempt: number;
  /** The next one follows after so many milliseconds. */
  readonly delay: number;
  /** What tells most of why. */
  readonly error: EverholdError;
  /** Of each endpoint, in the order in which they were tried. */
  readonly failures: readonly EndpointFailure[];
}
