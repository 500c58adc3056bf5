/**
 * What a broker may do at this moment. One that is alone may always do everything; one that leads a group is told by its
 * group's clock and state. These are levels: they are read at the moment of acting, and `Broker.authorityChanged` is called when
 * one has changed, but for messages that may not be handed out any more: a clock that tells so calls nobody.
 */
export interface Authority {
  /** Whether messages may be handed out: nobody else can be handing out the same ones. Read once for each queue and step. */
  readonly mayDispatch: boolean;
  /** Whether requests are taken. Where not, they stay unread. */
  readonly mayTake: boolean;
}

/** The authority of a broker that nobody can depose. */
export const soleAuthority: Authority = { mayDispatch: true, mayTake: true };
