/** Starts worker threads in the form of their parent: built JavaScript, or TypeScript through its loader. */
import { Worker } from 'node:worker_threads';

/**
 * Starts a thread.
 * @param name the module next to `parent`, without its extension
 * @param parent the starter's `import.meta.url`
 */
export function startThread(name: string, parent: string): Worker {
  if (!parent.endsWith('.ts')) return new Worker(new URL(`${name}.js`, parent));
  const source = JSON.stringify(new URL(`${name}.ts`, parent).href);
  const load = `import('tsx/esm/api').then(({ register }) => { register(); return import(${source}); })`;
  return new Worker(load, { eval: true });
}
