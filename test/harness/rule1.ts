/** What the first form of the rule left behind: see test/fixtures/rule1. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { DeploymentDocument } from '../../src/core/document/document.ts';

/** A deployment of the engine: its document, and the columns of its state in the database. */
export interface OldDeployment {
  readonly name: string;
  readonly status: string;
  readonly document: DeploymentDocument;
  readonly columns: Readonly<Record<string, unknown>>;
  readonly decisions: number;
}

/** A database of that time: its rows, table by table. */
export interface OldDatabase {
  readonly tables: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
  readonly documents: Readonly<Record<string, DeploymentDocument>>;
}

const read = (name: string) =>
  JSON.parse(
    gunzipSync(readFileSync(new URL(`../fixtures/rule1/${name}.json.gz`, import.meta.url))).toString(),
  );

export const oldDeployments = (): OldDeployment[] => read('documents');
export const oldDatabase = (): OldDatabase => read('database');
