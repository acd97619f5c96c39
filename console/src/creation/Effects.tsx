/** What the new deployment will do, in words and money, before the button is pressed. */
import type { ReactElement } from 'react';
import { count, duration, usd } from '../format';
import { type Draft, rampOf } from '../policy/draft';
import type { Names } from './newDeployment';

interface EffectsProps {
  readonly names: Names;
  readonly draft: Draft;
}

export function Effects({ names, draft }: EffectsProps): ReactElement | null {
  const steps = rampOf(draft);
  const checkSeconds = Number(draft.checkIntervalSeconds?.trim() || 60);
  // What is no number yet is told beside its field.
  const figures = [checkSeconds, ...steps.flatMap(({ percent, minutes }) => [percent, minutes])];
  if (!figures.every((figure) => Number.isFinite(figure) && figure > 0)) return null;
  const canary = names.canaryVersionId.trim() || 'the canary';
  const capital = Number(names.capitalUsd);
  const given = names.capitalUsd.trim() !== '' && capital > 0 && Number.isFinite(capital);
  const minutes = steps.reduce((sum, step) => sum + step.minutes, 0);
  const share = (percent: number) =>
    given ? `${percent} % (${usd((capital * percent) / 100)})` : `${percent} %`;
  const ramp = steps.map(({ percent }) => share(percent)).join(', then ');
  return (
    <ul className="effects">
      <li>
        {given ? 'Immediately,' : 'When capital is deployed,'} {canary} is asked to hold {ramp} of the
        capital; the stable version holds the rest.
      </li>
      <li>
        Both are checked every {duration(checkSeconds)} for {duration(minutes * 60)}:{' '}
        {count(Math.floor((minutes * 60) / checkSeconds))} checks.
      </li>
    </ul>
  );
}
