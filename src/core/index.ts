/** The engine of Serin, for embedding: the same functions that the server runs on, without any I/O. */
export * from './capital.ts';
export * from './comparison.ts';
export * from './config.ts';
export * from './decide.ts';
export * from './decimal.ts';
export * from './deployment.ts';
export * from './document.ts';
export * from './events.ts';
export * from './evidence.ts';
export * from './evolve.ts';
export * from './guardrails.ts';
export * from './metrics.ts';
export * from './narration.ts';
export * from './refusal.ts';
export * from './settle.ts';
export * from './violation.ts';
