/** The limits of groups: what each bounds, why, and what happens when it is hit. */
export const groupLimits = {
  /** Events of one member that a reader may leave unread; of more the oldest is dropped. */
  unreadEventCountMax: 1000,
} as const;
