/** A target of a webhook that may not be called. The message is for clients. */
export class ForbiddenTarget extends Error {}
