/** What the new deployment will do, in words and money, before the button is pressed. */
import type { ReactElement } from 'react';
import { duration, usd } from '../format';
import { type Draft, rampOf } from '../policy/draft';
import type { Names } from './newDeployment';

interface EffectsProps {
  readonly names: Names;
  readonly draft: Draft;
}

export function Effects({ names, draft }: EffectsProps): ReactElement | null {
  const steps = rampOf(draft);
  const [first] = steps;
  if (!first || steps.some(({ percent, minutes }) => !(percent > 0) || !(minutes > 0))) return null;
  const canary = names.canaryVersionId.trim() || 'the canary';
  const capital = Number(names.capitalUsd);
  const given = names.capitalUsd.trim() !== '' && capital > 0;
  const minutes = steps.reduce((sum, step) => sum + step.minutes, 0);
  const share = (percent: number) =>
    given ? `${percent} % (${usd((capital * percent) / 100)})` : `${percent} %`;
  const ramp = steps.map(({ percent }) => share(percent)).join(', then ');
  const checkSeconds = Number(draft.checkIntervalSeconds?.trim() || 60);
  return (
    <ul className="effects">
      <li>
        {given ? 'Immediately,' : 'When capital is deployed,'} {canary} is asked to hold {ramp} of the
        capital; the stable version holds the rest.
      </li>
      <li>
        Both are checked every {duration(checkSeconds)} for {duration(minutes * 60)}
        {checkSeconds > 0 ? `: ${Math.floor((minutes * 60) / checkSeconds)} checks` : ''}.
      </li>
    </ul>
  );
}
