/** The limits of leases: what each bounds, why, and what happens when it is hit. */
export const leaseLimits = {
  /**
   * Milliseconds that a server's `tickTime` is taken for where nobody says more: ZooKeeper's own default. A follower
   * tells the leader twice in it whom it has heard of.
   */
  tickMs: 2000,
  /** Renewals in one session timeout: the lease ends up to this share of it, and a tick, before the session may. */
  renewalsPerTimeout: 6,
  /**
   * Share of their interval by which a renewal is put off at most, where it proves more then. The lease that holds
   * meanwhile may be an old one, so it is not much.
   */
  renewalDelayShare: 0.125,
  /** Share of the session timeout by which the clocks of this machine and the leader's may differ over it. */
  driftShare: 0.05,
  /** Answered renewals that are kept to reckon with; of more, the oldest is forgotten, which ends the lease sooner. */
  renewalCountMax: 64,
} as const;
