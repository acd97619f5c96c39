/** Nobody knows who asks: no credentials, bad ones, or such as are no longer good. */
export class Unauthenticated extends Error {}
