/**
 * Evaluates the part of PromQL that the dashboard and the alert rules use, on two scrapes of real `/metrics`. What is not
 * among it is an error. A series that is only in the second scrape has no rate, as in Prometheus.
 */
import { parser } from '@prometheus-io/lezer-promql';

/** A series at one instant. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Two scrapes, and the seconds between them. */
export interface Scrapes {
  readonly before: readonly Sample[];
  readonly now: readonly Sample[];
  readonly seconds: number;
}

type Node = ReturnType<typeof parser.parse>['topNode'];
type Value = number | readonly Sample[];

const NAME = '__name__';

/** Reads the text that `/metrics` returns, with the labels that Prometheus adds. */
export function parseMetrics(text: string, added: Readonly<Record<string, string>> = {}): Sample[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([a-z_]\w*)(?:\{(.*)\})? (\S+)$/i.exec(line);
    if (!match) return [];
    const [, name = '', labels = '', value] = match;
    const pairs = [...labels.matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g)].map(([, label, of]) => [label, of]);
    return [{ labels: { ...Object.fromEntries(pairs), ...added, [NAME]: name }, value: Number(value) }];
  });
}

/** Evaluates an expression at the second scrape. */
export function evaluate(expression: string, scrapes: Scrapes): readonly Sample[] {
  const value = compute(parser.parse(expression).topNode, expression, scrapes);
  return typeof value === 'number' ? [{ labels: {}, value }] : value;
}

function compute(node: Node, text: string, scrapes: Scrapes): Value {
  const read = (child: Node) => compute(child, text, scrapes);
  const children = childrenOf(node);
  const source = text.slice(node.from, node.to);
  switch (node.name) {
    case 'PromQL':
    case 'ParenExpr':
      return read(only(children, source));
    case 'NumberDurationLiteral':
      return Number(source);
    case 'VectorSelector':
      return select(node, text, scrapes.now);
    case 'AggregateExpr':
      return aggregate(node, text, scrapes);
    case 'FunctionCall':
      return call(node, text, scrapes);
    case 'BinaryExpr':
      return combine(node, text, scrapes);
    default:
      throw new Error(`not evaluated here: ${node.name} in ${source}`);
  }
}

const childrenOf = (node: Node): Node[] => {
  const children: Node[] = [];
  for (let child = node.firstChild; child; child = child.nextSibling) children.push(child);
  return children;
};

function only(nodes: readonly Node[], source: string): Node {
  const [node] = nodes;
  if (!node || nodes.length !== 1) throw new Error(`not one expression: ${source}`);
  return node;
}

function select(node: Node, text: string, samples: readonly Sample[]): Sample[] {
  const textOf = (child: Node | null) => (child ? text.slice(child.from, child.to) : '');
  const name = textOf(node.getChild('Identifier'));
  const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
  const tests = matchers.map((matcher) => {
    const label = textOf(matcher.getChild('LabelName'));
    const wanted = textOf(matcher.getChild('StringLiteral')).slice(1, -1);
    const pattern = new RegExp(`^(?:${wanted})$`);
    const operators: Readonly<Record<string, (value: string) => boolean>> = {
      '=': (value) => value === wanted,
      '!=': (value) => value !== wanted,
      '=~': (value) => pattern.test(value),
    };
    const operator = textOf(matcher.getChild('MatchOp'));
    const matches = operators[operator];
    if (!matches) throw new Error(`not evaluated here: ${operator}`);
    return (sample: Sample) => matches(sample.labels[label] ?? '');
  });
  return samples.filter((sample) => sample.labels[NAME] === name && tests.every((test) => test(sample)));
}

const AGGREGATES: Readonly<Record<string, (values: readonly number[]) => number>> = {
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  max: (values) => Math.max(...values),
  min: (values) => Math.min(...values),
  count: (values) => values.length,
};

function aggregate(node: Node, text: string, scrapes: Scrapes): Sample[] {
  const operator = node.getChild('AggregateOp');
  const reduce = AGGREGATES[operator ? text.slice(operator.from, operator.to) : ''];
  if (!reduce) throw new Error(`not evaluated here: ${text}`);
  const labels = labelsIn(node.getChild('AggregateModifier'), text);
  const groups = new Map<string, Sample[]>();
  for (const sample of vector(compute(only(argumentsOf(node), text), text, scrapes))) {
    const key = JSON.stringify(labels.map((label) => sample.labels[label] ?? ''));
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  return [...groups.values()].map((samples) => ({
    labels: Object.fromEntries(labels.map((label) => [label, samples[0]?.labels[label] ?? ''])),
    value: reduce(samples.map(({ value }) => value)),
  }));
}

const argumentsOf = (node: Node): Node[] => {
  const body = node.getChild('FunctionCallBody');
  return body ? childrenOf(body) : [];
};

const labelsIn = (modifier: Node | null, text: string): string[] =>
  (modifier?.getChild('GroupingLabels')?.getChildren('LabelName') ?? []).map(({ from, to }) =>
    text.slice(from, to),
  );

function vector(value: Value): readonly Sample[] {
  if (typeof value === 'number') throw new Error('a vector was expected');
  return value;
}

function call(node: Node, text: string, scrapes: Scrapes): Value {
  const identifier = node.getChild('FunctionIdentifier');
  const name = identifier ? text.slice(identifier.from, identifier.to) : '';
  const [first, second] = argumentsOf(node);
  if (!first) throw new Error(`no argument: ${text}`);
  switch (name) {
    case 'rate':
      return change(first, text, scrapes, scrapes.seconds);
    case 'increase':
    case 'delta':
      return change(first, text, scrapes, 1);
    case 'vector':
      return [{ labels: {}, value: Number(compute(first, text, scrapes)) }];
    case 'histogram_quantile':
      if (!second) throw new Error(`no histogram: ${text}`);
      return quantile(Number(compute(first, text, scrapes)), vector(compute(second, text, scrapes)));
    default:
      throw new Error(`not evaluated here: ${name}`);
  }
}

/** The change of each series over the time between the scrapes, divided. */
function change(
  range: Node,
  text: string,
  { before: earlierSamples, now }: Scrapes,
  divisor: number,
): Sample[] {
  const selector = range.getChild('VectorSelector');
  if (!selector) throw new Error(`no range: ${text}`);
  const before = new Map(select(selector, text, earlierSamples).map((one) => [keyOf(one.labels), one.value]));
  return select(selector, text, now).flatMap(({ labels, value }) => {
    const earlier = before.get(keyOf(labels));
    const { [NAME]: _name, ...rest } = labels;
    return earlier === undefined ? [] : [{ labels: rest, value: (value - earlier) / divisor }];
  });
}

const keyOf = (labels: Readonly<Record<string, string>>) => JSON.stringify(Object.entries(labels).toSorted());

/** Linear within a bucket, as in Prometheus. */
function quantile(q: number, buckets: readonly Sample[]): Sample[] {
  const series = new Map<string, { labels: Record<string, string>; buckets: [number, number][] }>();
  for (const { labels, value } of buckets) {
    const { le = '', ...rest } = labels;
    const one = series.get(keyOf(rest)) ?? { labels: rest, buckets: [] };
    one.buckets.push([le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), value]);
    series.set(keyOf(rest), one);
  }
  return [...series.values()].flatMap(({ labels, buckets: unsorted }) => {
    const sorted = unsorted.toSorted(([one], [other]) => one - other);
    const rank = q * (sorted.at(-1)?.[1] ?? 0);
    if (rank === 0) return [];
    let [lower, below] = [0, 0];
    for (const [upper, count] of sorted) {
      if (count >= rank) {
        const value =
          upper === Number.POSITIVE_INFINITY
            ? lower
            : lower + ((upper - lower) * (rank - below)) / (count - below);
        return [{ labels, value }];
      }
      [lower, below] = [upper, count];
    }
    return [];
  });
}

function combine(node: Node, text: string, scrapes: Scrapes): Value {
  const children = childrenOf(node);
  const [left, operator, right] = [children[0], children[1], children.at(-1)];
  if (!left || !operator || !right) throw new Error(`no operator: ${text}`);
  const [one, other] = [compute(left, text, scrapes), compute(right, text, scrapes)];
  const on = node.getChild('MatchingModifierClause');
  const matching = ({ labels }: Sample) => {
    const { [NAME]: _name, ...all } = labels;
    return on
      ? labelsIn(on, text)
          .map((label) => labels[label] ?? '')
          .join()
      : keyOf(all);
  };
  switch (operator.name) {
    case 'Or':
      return vector(one).length > 0 ? one : other;
    case 'And': {
      const there = new Set(vector(other).map(matching));
      return vector(one).filter((sample) => there.has(matching(sample)));
    }
    case 'Div': {
      const divisors = new Map(vector(other).map((sample) => [matching(sample), sample.value]));
      return vector(one).flatMap((sample) => {
        const divisor = divisors.get(matching(sample));
        return divisor === undefined ? [] : [{ ...sample, value: sample.value / divisor }];
      });
    }
    case 'Gtr':
      return vector(one).filter(({ value }) => value > Number(other));
    case 'Eql':
      return vector(one).filter(({ value }) => value === Number(other));
    default:
      throw new Error(`not evaluated here: ${operator.name}`);
  }
}
