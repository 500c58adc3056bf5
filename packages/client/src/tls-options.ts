import { EverholdError } from "@everhold/base";
import { checkTlsNames, type ConnectTls, type Endpoint, type Log, type Tls } from "@everhold/env";
import { readTlsParameters } from "./url/tls-parameters.ts";

/** How to speak TLS. Names are those of Node's `tls`; what is left out is as there. */
export type TlsOptions = ConnectTls;

/** What can be said about TLS: in options, in parameters, and by the scheme of a URL. */
export interface TlsWishes {
  /** As the URL names them; `tls` is set for those whose scheme asks for it. */
  readonly endpoints: readonly Endpoint[];
  readonly parameters: ReadonlyMap<string, string>;
  readonly given: boolean | TlsOptions | undefined;
}

/**
 * The endpoints with how each is to be spoken to. `tls` of the options is for all, as is `sslEnabled=true` of
 * a URL; a scheme is for its endpoint. What the options say goes before what the URL says.
 *
 * @throws EverholdError EVH_URL, EVH_CONFIG when one side asks for TLS and the other forbids it, or for names of
 *   options that nobody knows
 */
export function withTls(wishes: TlsWishes, log: Pick<Log, "warn">): readonly Endpoint[] {
  const { endpoints, given } = wishes;
  if (typeof given === "object") checkTlsNames({ ...given });
  const { isEnabled, tls } = readTlsParameters(wishes.parameters);
  const asksByScheme = endpoints.some((endpoint) => endpoint.tls !== undefined);
  const isForAll = given === undefined ? isEnabled === true : given !== false;
  if (
    (given === false && (asksByScheme || isEnabled === true)) ||
    (isEnabled === false && (asksByScheme || isForAll))
  ) {
    throw new EverholdError(
      "EVH_CONFIG",
      "Cannot tell whether to use TLS: the URL and the options say different things; " +
        "expected one of tls:// or ssl://, sslEnabled=true, or the option tls, and none that forbids it",
    );
  }
  if (!isForAll && !asksByScheme && Object.keys(tls).length > 0) {
    log.warn("The URL has parameters for TLS, and does not ask for TLS; what is sent can be read", {
      cure: "tls:// or sslEnabled=true",
    });
  }
  const merged: Tls = { ...tls, ...(typeof given === "object" ? given : {}) };
  return endpoints.map((endpoint) =>
    isForAll || endpoint.tls !== undefined ? { ...endpoint, tls: merged } : endpoint,
  );
}
