/** What Curator has, and what is in its place here. */
export interface Feature {
  readonly curator: string;
  /** What there is here; `undefined` where there is nothing. */
  readonly here?: string;
  /** Exports of `@everhold/zookeeper` that it names; the document is not made without them. */
  readonly exports?: readonly string[];
}

/** A group of them, as Curator's modules are divided. */
export interface FeatureGroup {
  readonly title: string;
  readonly features: readonly Feature[];
}

export const featureGroups: readonly FeatureGroup[] = [
  {
    title: "Client and framework",
    features: [
      {
        curator: "A new handle after the end of a session",
        here: "A new session in the next `epoch`; the one before is ended at the servers where they still have it",
      },
      {
        curator:
          "`ZookeeperFactory`, which can make a handle of a session that another process had",
        here: "`sessionStore: sessionFolder(path)`: a process that is started again ends the session from before, so that nobody waits for what that one held",
        exports: ["sessionFolder"],
      },
      {
        curator: "Retry loop and policies: exponential, bounded, n times, until elapsed, forever",
        here: "`retries`, within each call's `timeout`; only what can do no harm twice is tried again, all else says `unknown`",
        exports: ["retries"],
      },
      {
        curator: "`SessionFailedRetryPolicy`",
        here: "`client.inSession()`, whose calls fail in another session",
      },
      { curator: "Fluent builders, background calls", here: "Options and promises" },
      {
        curator: "Namespaces",
        here: "`client.namespace()`; parents are made with `parents: true`",
      },
      {
        curator: "`creatingParentsIfNeeded`, `creatingParentContainersIfNeeded`",
        here: '`parents: true`, `parents: "container"`',
      },
      {
        curator: "`withProtection`",
        here: "`protected: true`, with the same kind of name; what could not be found out in time is deleted afterwards",
      },
      {
        curator: "`idempotent()`",
        here: "`expected: stat` with `setData` and `delete`; not for `create`",
      },
      { curator: "`orSetData`, `quietly`" },
      {
        curator: "`guaranteed()` deletes",
        here: "`guaranteed: true`, for the very node that was meant",
      },
      { curator: "`deletingChildrenIfNeeded`", here: "`children: true`" },
      { curator: "Transactions", here: "`client.multi()`, and reads with `client.multiRead()`" },
      { curator: "Compression, schemas, ACL providers by path" },
      {
        curator: "Identities that are added again on each handle",
        here: "`auth`, `client.addAuth()`, `sasl`, `tls`",
      },
      {
        curator: "`EnsembleProvider`: fixed, or asked again",
        here: "A connect string, or a function that gives one; `client.updateServerList()`",
      },
      {
        curator: "`EnsembleTracker`, on by default",
        here: "`trackEnsemble: true`, off by default: addresses in the configuration need not be those that clients reach",
      },
      { curator: "`READ_ONLY`: servers that can only read" },
      {
        curator: "`newWatcherRemoveCuratorFramework`",
        here: "`client.watch()` ends with its loop; `client.removeWatch()` takes back one that tells once",
      },
      {
        curator: "`PersistentWatcher`",
        here: "`client.watch()`, which tells of a `gap` after each reconnect",
      },
      {
        curator: "`sync()`, `reconfig()`, `getConfig()`",
        here: "The same, and reads with `fresh: true`",
      },
      { curator: "`blockUntilConnected`", here: "`connect()`, `client.ready()`" },
      {
        curator: "`UnhandledErrorListener`",
        here: "The event `error` of what goes on in the background",
      },
      { curator: "`TracerDriver`, metrics" },
      { curator: "`curator-x-async`, modeled nodes, migrations" },
      { curator: "`TestingServer`, `TestingCluster`, `KillSession`" },
    ],
  },
  {
    title: "States",
    features: [
      {
        curator: "`CONNECTED`, `SUSPENDED`, `RECONNECTED`, `LOST`",
        here: "The same, in lower case",
      },
      {
        curator: "`RECONNECTED` says that a server is connected",
        here: "`reconnected` also says whether it is the same session (`sessionChanged`), and what was brought back",
      },
      {
        curator: "`LOST` after a time since `SUSPENDED`, all of the session timeout by default",
        here: "`lost` when the session timeout is over since a server was heard last, less a margin: before the servers end it",
      },
      {
        curator: "`ConnectionStateListenerManagerFactory.circuitBreaking`",
        here: "`client.events({ steady })`; that a session is lost is never kept back",
      },
      {
        curator: "Error policies: standard, session",
        here: "Leadership stands on a lease, not on states",
      },
    ],
  },
  {
    title: "Recipes",
    features: [
      {
        curator: "`LeaderLatch`, `LeaderSelector`",
        here: "The same, by a lease that is asked at the moment of acting, and with a fencing token",
        exports: ["LeaderLatch", "LeaderSelector"],
      },
      {
        curator:
          "`InterProcessMutex`, re-entrant by thread; a holder is not told that its lock is lost",
        here: "`ReentrantMutex`, by an owner that is named; every grant has a fencing token, a signal and `isHeld()`",
        exports: ["ReentrantMutex"],
      },
      { curator: "`InterProcessSemaphoreMutex`", here: "`Mutex`", exports: ["Mutex"] },
      {
        curator: "`InterProcessReadWriteLock`",
        here: "`ReadWriteLock`",
        exports: ["ReadWriteLock"],
      },
      { curator: "`InterProcessSemaphoreV2`", here: "`Semaphore`", exports: ["Semaphore"] },
      { curator: "`InterProcessMultiLock`", here: "`MultiLock`", exports: ["MultiLock"] },
      { curator: "`Revoker`: asks a holder to give a lock back" },
      {
        curator: "`DistributedBarrier`, `DistributedDoubleBarrier`",
        here: "`Barrier`, `DoubleBarrier`",
        exports: ["Barrier", "DoubleBarrier"],
      },
      {
        curator: "`SharedValue`, `SharedCount`",
        here: "The same, never older than they were",
        exports: ["SharedValue", "SharedCount"],
      },
      {
        curator: "`DistributedAtomicLong`",
        here: "`Counter`, in the same format; exact though answers get lost",
        exports: ["Counter"],
      },
      { curator: "`DistributedAtomicInteger`, `DistributedAtomicValue`, `CachedAtomicLong`" },
      {
        curator: "`PersistentNode`",
        here: "`client.hold()` for ephemeral nodes, which never touches a node of somebody else; `PersistentNode` for the other modes",
        exports: ["PersistentNode"],
      },
      {
        curator: "`PersistentTtlNode`",
        here: "`PersistentNode` with a `ttl`, in the same layout",
        exports: ["PersistentNode"],
      },
      {
        curator: "`GroupMember`, whose members with one id overwrite each other",
        here: "`GroupMember`; of two with one id the second is told of the conflict, and the first is not disturbed",
        exports: ["GroupMember"],
      },
      {
        curator: "`CuratorCache`, and the older `NodeCache`, `PathChildrenCache`, `TreeCache`",
        here: "`NodeCache`, of a tree, some levels of it, or one node",
        exports: ["NodeCache"],
      },
      {
        curator: "`ServiceDiscovery`",
        here: "`ServiceRegistry`, in the same layout, and tried beside `curator-x-discovery`",
        exports: ["ServiceRegistry"],
      },
      {
        curator: "`DistributedQueue` and its kin",
        here: "Not meant to be: Curator's notes advise against queues in ZooKeeper, and Everhold is a broker",
      },
    ],
  },
];

/** What is good to know of Curator when figures of it are read, and where that stands. */
export const curatorFacts: readonly { readonly fact: string; readonly source: string }[] = [
  {
    fact: "`SUSPENDED` asks leaders and holders to stop until the connection is there again; `LeaderLatch` does so by itself. It gives leadership up at each short break, and is safe wherever the break is noticed before the session is over.",
    source: "`ConnectionState.java`, `LeaderLatch.java` (curator-framework, curator-recipes)",
  },
  {
    fact: "The time after which `LOST` is announced begins with `SUSPENDED`. `simulatedSessionExpirationPercent` makes it a part of the session timeout; Artemis takes a third.",
    source: "`ConnectionStateManager.checkSessionExpiration`; Curator's Tech Note 14",
  },
  {
    fact: "`hasLeadership()` gives what the latest event has left behind, and asks nobody. A process that stood still answers with it until the event is there.",
    source: "`LeaderLatch.hasLeadership`; Curator's Tech Note 10 on pauses",
  },
  {
    fact: "A session that Curator gives up is not ended at the servers: its ephemeral nodes stay until it expires there.",
    source: "CURATOR-595",
  },
  {
    fact: "States wait for slow listeners in a line of 25; the oldest is dropped where it is full.",
    source: "`ConnectionStateManager.postState`",
  },
  {
    fact: "`PersistentNode` takes a node that is there already for its own, and writes its data into it.",
    source: "`PersistentNode.processBackgroundCallback`",
  },
  {
    fact: "`CuratorCache` sees that a node has changed by its version: one that was deleted and made again with the same version looks unchanged.",
    source: "`CuratorCacheImpl`",
  },
];
