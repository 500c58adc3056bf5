import { EverholdError, type ErrorCode } from "@everhold/base";

const cures: Partial<Record<ErrorCode, string>> = {
  EVH_NOT_CONNECTED: "start a broker with: everhold run, or name another one with --url",
  EVH_CONNECTION_TIMEOUT: "check that the URL is the one of a broker",
  EVH_PORT_IN_USE: "stop the other program, or choose another port: everhold run --port 61617",
  EVH_DATA_LOCKED: "stop that broker, or choose another folder: everhold run --data FOLDER",
  EVH_DATA_FOLDER: "check its name and its permissions, or choose another folder",
  EVH_DATA_CORRUPT: "look with: everhold data verify; restore the folder from a copy",
  EVH_DISK_HUNG: "look at the disk, its cable or its server: what was under way on it may be lost",
  EVH_SECURITY: "give a user name and password with --user and --password",
  EVH_CERTIFICATE_SELF_SIGNED: "name a file with that certificate by --ca",
  EVH_CERTIFICATE_UNKNOWN_ISSUER: "name a file with the issuer's certificate by --ca",
  EVH_CLIENT_CERTIFICATE: "name your certificate by --cert and --key",
  EVH_URL: "write it like tcp://127.0.0.1:61616",
  EVH_FILE: "check its name, its permissions and the room on its disk",
  EVH_ADDRESS_FULL: "consume from it, or raise the limit",
  EVH_INVALID_FILTER: "write it like: colour = 'red' AND size > 5",
};

/** The message names options of programs; here they are flags. */
const flags: readonly ErrorCode[] = [
  "EVH_CERTIFICATE_SELF_SIGNED",
  "EVH_CERTIFICATE_UNKNOWN_ISSUER",
  "EVH_CLIENT_CERTIFICATE",
];

/** What a person can do about an error, if that is known. */
export function cureOf(error: unknown): string | undefined {
  return EverholdError.is(error) ? cures[error.code] : undefined;
}

/** One line for people: what happened, and the cure unless the message names it already. */
export function errorLine(error: unknown): string {
  const message = oneLine(error instanceof Error ? error.message : String(error));
  const cure = cureOf(error);
  const code = EverholdError.is(error) ? ` [${error.code}]` : "";
  const isNamed = message.includes(";") && !(EverholdError.is(error) && flags.includes(error.code));
  return cure === undefined || isNamed
    ? `everhold: ${message}${code}`
    : `everhold: ${message}; ${cure}${code}`;
}

/** The same for programs: one JSON object. */
export function errorObject(error: unknown): object {
  const message = error instanceof Error ? error.message : String(error);
  if (!EverholdError.is(error)) return { error: { message } };
  const { code, retryable, outcome } = error;
  return { error: { code, message, retryable, outcome, cure: cureOf(error) } };
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ");
}
