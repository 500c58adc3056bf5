/** One error of ZooKeeper. */
export interface ZooKeeperErrorEntry {
  /** The number in an answer's header. */
  readonly number: number;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  readonly meaning: string;
}

/** ZooKeeper's errors by their names there. Source: ZooKeeper, `KeeperException.Code`. */
export const zooKeeperErrors = {
  SYSTEMERROR: entry(-1, false, "The server failed in a way that it did not expect"),
  RUNTIMEINCONSISTENCY: entry(
    -2,
    false,
    "An operation behind the one that failed in the same multi",
  ),
  DATAINCONSISTENCY: entry(-3, false, "The server found its data inconsistent"),
  CONNECTIONLOSS: entry(-4, true, "The connection broke before the answer came"),
  MARSHALLINGERROR: entry(-5, false, "The server could not read the request"),
  UNIMPLEMENTED: entry(
    -6,
    false,
    "The server does not know the operation, or it is not switched on there",
  ),
  OPERATIONTIMEOUT: entry(-7, true, "The server took too long"),
  BADARGUMENTS: entry(-8, false, "The server does not accept the request's values"),
  UNKNOWNSESSION: entry(-12, false, "There is no such session"),
  NEWCONFIGNOQUORUM: entry(-13, true, "No quorum of the new configuration is connected"),
  RECONFIGINPROGRESS: entry(-14, true, "Another change of the configuration is under way"),
  NONODE: entry(-101, false, "There is no such node"),
  NOAUTH: entry(-102, false, "The access list of the node does not allow it"),
  BADVERSION: entry(-103, false, "The node has another version than the one that was expected"),
  NOCHILDRENFOREPHEMERALS: entry(-108, false, "An ephemeral node can't have children"),
  NODEEXISTS: entry(-110, false, "There is a node of this path already"),
  NOTEMPTY: entry(-111, false, "The node has children"),
  SESSIONEXPIRED: entry(-112, true, "The session has ended; the client makes a new one"),
  INVALIDCALLBACK: entry(-113, false, "The callback is not valid"),
  INVALIDACL: entry(-114, false, "The access list is empty or not valid"),
  AUTHFAILED: entry(-115, false, "The login was refused"),
  CLOSING: entry(-116, false, "The client is closing"),
  NOTHING: entry(-117, false, "The server had nothing to answer"),
  SESSIONMOVED: entry(-118, true, "The session has moved to another server"),
  NOTREADONLY: entry(-119, true, "The server has no quorum and can only read"),
  EPHEMERALONLOCALSESSION: entry(-120, false, "A local session can't create ephemeral nodes"),
  NOWATCHER: entry(-121, false, "There is no such watch"),
  REQUESTTIMEOUT: entry(-122, true, "The answer did not come within the time limit"),
  RECONFIGDISABLED: entry(-123, false, "The servers do not allow changes of the configuration"),
  SESSIONCLOSEDREQUIRESASLAUTH: entry(-124, false, "The servers ask for a login with SASL"),
  QUOTAEXCEEDED: entry(-125, false, "A quota of the path is used up"),
  THROTTLEDOP: entry(
    -127,
    true,
    "The server has too much to do, and has not executed the operation",
  ),
  UNKNOWN: entry(1, false, "An error that this client has no name for; its number says more"),
} as const satisfies Record<string, ZooKeeperErrorEntry>;

/** ZooKeeper's name of an error. */
export type ZooKeeperReason = keyof typeof zooKeeperErrors;

const reasonsByNumber: ReadonlyMap<number, ZooKeeperReason> = new Map(
  Object.keys(zooKeeperErrors)
    .filter(isReason)
    .map((name) => [zooKeeperErrors[name].number, name]),
);

/** ZooKeeper's name for the error of this number; `UNKNOWN` where there is none. */
export function reasonOf(errorNumber: number): ZooKeeperReason {
  return reasonsByNumber.get(errorNumber) ?? "UNKNOWN";
}

function entry(number: number, retryable: boolean, meaning: string): ZooKeeperErrorEntry {
  return { number, retryable, meaning };
}

function isReason(name: string): name is ZooKeeperReason {
  return name in zooKeeperErrors;
}
