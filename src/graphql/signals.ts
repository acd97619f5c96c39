/** The signals of a deployment whose pairs of returns are by signal. */
import { countSignals, type SignalCounts } from '../store/deployments/signals.ts';
import { builder } from './builder.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { READS } from './fairTurns.ts';

const SignalsType = builder.objectRef<SignalCounts>('DeploymentSignals').implement({
  description: 'How many signals there are, by what became of them.',
  fields: (t) => ({
    open: t.exposeInt('open', {
      description: 'Those that one side only has traded, or that the next check pairs.',
    }),
    paired: t.exposeInt('paired', { description: 'Those that have made a pair of returns.' }),
    forgotten: t.exposeInt('forgotten', {
      description:
        'Those that the other side had not traded when 5,000 newer ones were open: they make no pair.',
    }),
  }),
});

builder.objectField(DeploymentRef, 'signals', (t) =>
  t.field({
    type: SignalsType,
    nullable: true,
    description: 'Its signals; null unless its pairs of returns are by signal (`config.evidence.pairing`).',
    extensions: READS,
    resolve: ({ state }, _args, { reads }) =>
      state.config.evidence.pairing === 'SIGNAL' ? countSignals(reads.db, state.id) : null,
  }),
);
