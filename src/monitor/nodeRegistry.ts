/**
 * Keeps this node's row in `nodes`, and knows the latest form of stored data that every node on the database reads: a
 * later form is written only when the last node of an earlier version has been gone for a minute.
 */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { FORM } from '../core/lifecycle/forms.ts';
import { type NodeDescription, removeNode, renewNode } from '../store/nodes/nodes.ts';
import type { Queries } from '../store/postgres/database.ts';
import { VERSION } from '../store/postgres/version.ts';
import { type Job, repeat } from './repeat.ts';

/** Real milliseconds between two renewals: many within the minute after which a node counts as gone. */
const RENEW_EVERY_MS = 5000;

export interface NodeRegistry extends Job {
  /** The latest form that every node reads. */
  form(): number;
}

/** Adds this node, before it serves anything. */
export async function joinNodes(db: Queries, log: Logger): Promise<NodeRegistry> {
  const node: NodeDescription = { id: randomBytes(8).toString('hex'), version: VERSION, writes: FORM };
  let form = await renewNode(db, node);
  if (form < FORM) sayForm();
  const renewing = repeat(renew, RENEW_EVERY_MS);

  async function renew(): Promise<number> {
    try {
      const before = form;
      form = await renewNode(db, node);
      if (form !== before) sayForm();
    } catch {
      // The database is away, which others report. Nothing is written meanwhile.
    }
    return RENEW_EVERY_MS;
  }

  function sayForm(): void {
    const earlier = form < FORM ? ', because a node of an earlier version serves this database' : '';
    log.info({ form, latest: FORM }, `stored data is written in form ${form}${earlier}`);
  }

  return {
    form: () => form,
    async stop() {
      await renewing.stop();
      await removeNode(db, node.id);
    },
  };
}
