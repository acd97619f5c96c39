/** Mutants by hand: faults that were once made, or nearly, each as a change of one place, and the tests that must notice it. */

export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Occurs in the file exactly once. */
  readonly original: string;
  readonly replacement: string;
  /** Files, and what else vitest is given. */
  readonly tests: readonly string[];
  /** What the failed run says, so that it failed for this mutant and not for another reason. */
  readonly says?: string;
}

/** Bots in both languages, node and database are killed, and what is left is put before the checker of the fault suite. */
const KILLS = ['test/client/kills.test.ts'];

/** Clients that lose a report, act twice, or lose their place in a feed when something is killed. */
const CLIENT_MUTANTS: readonly Mutant[] = [
  {
    name: 'client, TypeScript: a bot that restarts loses its first report',
    file: 'src/client/reporter.ts',
    original: "...(features.has('session') ? { session } : {}),",
    replacement: "...(features.has('session') ? { session, baseline: true } : {}),",
    tests: KILLS,
    says: 'dep_typescript',
  },
  {
    name: 'client, TypeScript: a bot that restarts carries out again what it has acknowledged',
    file: 'src/client/allocationFeed.ts',
    original: 'acknowledged: !standDown && hasAnswered(side, allocation),',
    replacement: 'acknowledged: !standDown && hasAnswered(side, allocation) && number < 0,',
    tests: KILLS,
    says: 'acted on twice: dep_typescript',
  },
  {
    name: 'client, TypeScript: a feed begins anew when a node is killed',
    file: 'src/client/followFeed.ts',
    original: '    after = delivery.cursor;\n',
    replacement: '',
    tests: KILLS,
    says: 'the feed is the log: dep_typescript',
  },
  {
    name: 'client, Python: a bot that restarts loses its first report',
    file: 'clients/python/serin/_reporter.py',
    original: 'fields = {"deploymentId": self._deployment_id, **figures}',
    replacement: 'fields = {"deploymentId": self._deployment_id, "baseline": True, **figures}',
    tests: KILLS,
    says: 'dep_python',
  },
  {
    name: 'client, Python: a bot that restarts carries out again what it has acknowledged',
    file: 'clients/python/serin/_side.py',
    original: '            answered and not stand_down,\n',
    replacement: '            False,\n',
    tests: KILLS,
    says: 'acted on twice: dep_python',
  },
  {
    name: 'client, Python: a feed begins anew when a node is killed',
    file: 'clients/python/serin/_client.py',
    original: '            position["after"] = delivery["cursor"]\n',
    replacement: '',
    tests: KILLS,
    says: 'the feed is the log: dep_python',
  },
];

export const MUTANTS: readonly Mutant[] = [
  ...CLIENT_MUTANTS,
  {
    name: 'a request for promotion outlives a guardrail trip',
    file: 'src/core/lifecycle/evolve.ts',
    original: `        tripped: true,
        promotionRequest: null,
`,
    replacement: `        tripped: true,
`,
    tests: ['test/core/approval.test.ts'],
  },
  {
    name: 'a request for promotion outlives an extension',
    file: 'src/core/lifecycle/evolve.ts',
    original: `      lastCheckAt: at,
      tripped: false,
      promotionRequest: null,
    },
  };
}

function stepStarted`,
    replacement: `      lastCheckAt: at,
      tripped: false,
    },
  };
}

function stepStarted`,
    tests: ['test/core/approval.test.ts'],
  },
  {
    name: 'a request for promotion outlives the step',
    file: 'src/core/lifecycle/evolve.ts',
    original: `      evidence: atStep(state.observation.evidence),
      lastCheckAt: at,
      tripped: false,
      promotionRequest: null,`,
    replacement: `      evidence: atStep(state.observation.evidence),
      lastCheckAt: at,
      tripped: false,`,
    tests: ['test/core/approval.test.ts'],
  },
  {
    name: 'a command postpones an overdue check',
    file: 'src/core/lifecycle/state.ts',
    original: 'if (due > now || !wasCheck) return',
    replacement: 'if (due > now) return',
    tests: ['test/core/schedule.test.ts'],
  },
  {
    name: 'a check postpones the next one',
    file: 'src/core/lifecycle/state.ts',
    original: 'return beat !== null && beat > now ? beat : next;',
    replacement: 'return next;',
    tests: ['test/core/schedule.test.ts'],
  },
  {
    name: 'reports do not count towards several breaches in a row',
    file: 'src/core/lifecycle/check.ts',
    original: 'return { events: resets, breaches: counts };',
    replacement: 'return { events: resets, breaches: facts.breaches };',
    tests: ['test/core/guardrails.test.ts'],
  },
  {
    name: 'breaches that reports count are not written',
    file: 'src/app/stageCommand.ts',
    original: 'if (breaches !== counted) stageBreaches(unit, view, breaches);',
    replacement: '',
    tests: ['test/api/rule.test.ts'],
  },
  {
    name: 'the next command of a batch does not see what the one before made',
    file: 'src/app/commands.ts',
    original: 'if (answer.view && !answer.refusal) views.set(deploymentId, answer.view);',
    replacement: '',
    tests: ['test/api/concurrency.test.ts'],
  },
  {
    name: 'of two requests with one key the later one fails',
    file: 'src/app/execution/transaction.ts',
    original: 'error instanceof ConcurrentChange || CONFLICTS.has(code)',
    replacement: 'CONFLICTS.has(code)',
    tests: ['test/api/freezes.test.ts', '-t', 'at the same moment, on two nodes'],
  },
  {
    name: 'a transaction begins after its caller has timed out',
    file: 'src/app/execution/transaction.ts',
    original: 'if (performance.now() - askedAt > REQUEST_TIMEOUT_MS) throw new CallerTimedOut();',
    replacement: '',
    tests: ['test/app/transaction.test.ts'],
  },
  {
    name: 'a conflict of transactions is not tried again',
    file: 'src/app/execution/transaction.ts',
    original: "new Set(['40001', '40P01'])",
    replacement: 'new Set<string>()',
    tests: ['test/app/transaction.test.ts'],
  },
  {
    name: 'a batch that fails is not run one by one',
    file: 'src/app/execution/batch.ts',
    original: 'return new Map();',
    replacement: 'throw error;',
    tests: ['test/api/concurrency.test.ts', 'test/app/transaction.test.ts'],
  },
  {
    name: 'what cannot be checked together with others is tried again at once, for ever',
    file: 'src/monitor/observationLoop.ts',
    original: "if (left) await claim('REPORTED');",
    replacement: '',
    tests: ['test/nodes/claims.test.ts'],
  },
  {
    name: 'nobody is told of a batch that fails',
    file: 'src/app/execution/batch.ts',
    original: 'app.onBatchFailure({ kind, size, error });',
    replacement: '',
    tests: ['test/app/transaction.test.ts', 'test/api/concurrency.test.ts'],
  },
];
