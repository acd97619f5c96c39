/** Trades: the mutation by which bots record them, and the list of a deployment. */
import { hash } from 'node:crypto';
import { MAX_TRADES, type RefusedTrade, recordTrades, type TradesAnswer } from '../app/trades.ts';
import { netPnlUsd, type RecordedTrade } from '../core/metrics/trade.ts';
import { ZERO } from '../core/values/decimal.ts';
import type { Side } from '../core/values/side.ts';
import { readTrades } from '../store/deployments/trades.ts';
import { builder } from './builder.ts';
import { connectionType } from './connectionType.ts';
import { formatPlace, parsePlaceInTime } from './cursors.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { leaseFields } from './lease.ts';
import { SideType } from './metrics.ts';
import { AFTER, FIRST, readCursor, readPage, toConnection } from './paging.ts';
import { costs } from './price.ts';
import { DomainError } from './results.ts';

const fields = {
  id: 'Your name for it, unique within the side: sent twice it counts once.',
  at: 'When it was closed: at most a minute before the deployment started, and at most a minute ahead of Serin’s clock.',
  pnlUsd: 'Realised profit and loss before fees and gas, USD.',
  feesUsd: 'Fees paid, USD; negative for a rebate.',
  gasUsd: 'Gas paid, USD.',
  notionalUsd: 'Size of the trade, USD.',
  error: 'Why there was no trade.',
  signalId: 'Your name for the signal it acted on, the same on both sides.',
};

const TradeInput = builder.inputType('TradeInput', {
  description:
    'A closed trade, which has `pnlUsd`; or an attempt that failed, which has `error` and may have cost fees and gas.',
  fields: (t) => ({
    id: t.id({ required: true, description: fields.id }),
    at: t.field({ type: 'DateTime', required: true, description: fields.at }),
    pnlUsd: t.field({ type: 'Decimal', description: `${fields.pnlUsd} Left out where \`error\` is given.` }),
    feesUsd: t.field({ type: 'Decimal', description: `${fields.feesUsd} 0 unless given.` }),
    gasUsd: t.field({ type: 'Decimal', description: `${fields.gasUsd} 0 unless given.` }),
    notionalUsd: t.field({
      type: 'Decimal',
      description: `${fields.notionalUsd} The average size is taken over the trades that have one.`,
    }),
    error: t.string({ description: `${fields.error} Makes this entry an error instead of a trade.` }),
    signalId: t.string({
      description: `${fields.signalId} With \`evidence.pairing: SIGNAL\` the returns of both sides on it make a pair.`,
    }),
  }),
});

const RecordTradesInput = builder.inputType('RecordTradesInput', {
  description: 'Closed trades of one side of one deployment.',
  fields: (t) => ({
    deploymentId: t.id({ required: true, description: 'The deployment.' }),
    side: t.field({ type: SideType, required: true, description: 'Whose trades.' }),
    trades: t.field({
      type: [TradeInput],
      required: true,
      description: `At most ${MAX_TRADES}, in any order. None at all says that the side lives and has not traded.`,
    }),
    unrealizedPnlUsd: t.field({
      type: 'Decimal',
      description:
        'Profit and loss of open positions when the batch is sent, USD. Omitted, the value before stays, and ages.',
    }),
  }),
});

const RefusedTradeType = builder.objectRef<RefusedTrade>('RefusedTrade').implement({
  description: 'A trade that was not taken.',
  fields: (t) => ({
    index: t.exposeInt('index', { description: 'Its place in the batch, from 0.' }),
    tradeId: t.exposeID('tradeId', { description: 'The id it was sent with.' }),
    id: t.exposeID('id', {
      description: 'Opaque and unique among all refusals.',
      deprecationReason: 'use tradeId',
    }),
    error: t.expose('refusal', {
      type: DomainError,
      description: 'Why; its path leads to the field, such as `trades`, `3`, `pnlUsd`.',
    }),
  }),
});

const RecordTradesResult = builder.objectRef<TradesAnswer>('RecordTradesResult').implement({
  description: 'The answer to a batch of trades.',
  fields: (t) => ({
    success: t.boolean({
      description: 'Whether every trade of the batch is recorded, on disk. A retry gets the same answer.',
      resolve: ({ refusal, refused }) => refusal === null && refused.length === 0,
    }),
    message: t.string({ description: 'What happened, for people.', resolve: describe }),
    error: t.expose('refusal', {
      type: DomainError,
      nullable: true,
      description: 'Why the whole batch was refused: nothing has changed.',
    }),
    taken: t.exposeInt('taken', { description: 'Trades and errors that are new on the books.' }),
    known: t.exposeInt('known', { description: 'That were on the books already, with the same content.' }),
    refused: t.field({
      type: [RefusedTradeType],
      description: 'That were not taken, each with its reason; the others of the batch were.',
      resolve: ({ refused }) => [...refused],
    }),
    ...leaseFields(t),
    deployment: t.field({
      type: DeploymentRef,
      nullable: true,
      description: 'The deployment after the batch: a guardrail may have ended it.',
      resolve: ({ view }) => view,
    }),
  }),
});

function describe({ refusal, taken, known, refused }: TradesAnswer): string {
  if (refusal) return refusal.message;
  const [first] = refused;
  const more = first ? `, ${refused.length} refused; the first: ${first.refusal.message}` : '';
  return `${taken} taken, ${known} known already${more}`;
}

builder.mutationField('recordTrades', (t) =>
  t.field({
    type: RecordTradesResult,
    description:
      `Records up to ${MAX_TRADES} closed trades of one side, and derives all its metrics from them. Each trade is taken, ` +
      'known already (the same id with the same content counts once), or refused on its own, and all that are taken are ' +
      'committed together; guardrails look at them before this answers. Late trades and any order are fine. A side is ' +
      'measured one way: by its trades, by reported totals, or by a provider.',
    args: { input: t.arg({ type: RecordTradesInput, required: true, description: 'The trades.' }) },
    resolve: (_root, { input }, { app, actor }) =>
      recordTrades(app, actor, {
        deploymentId: input.deploymentId,
        side: input.side,
        unrealizedPnlUsd: input.unrealizedPnlUsd ?? undefined,
        trades: input.trades.map((trade) => ({
          id: trade.id,
          at: trade.at,
          pnlUsd: trade.pnlUsd ?? null,
          feesUsd: trade.feesUsd ?? ZERO,
          gasUsd: trade.gasUsd ?? ZERO,
          notionalUsd: trade.notionalUsd ?? null,
          error: trade.error ?? null,
          ...(typeof trade.signalId === 'string' ? { signalId: trade.signalId } : {}),
        })),
      }),
  }),
);

interface TradeView {
  readonly deploymentId: string;
  readonly trade: RecordedTrade;
  readonly side: Side;
}

/** The owner's id is unique within one side of one deployment only. */
function uniqueId({ deploymentId, side, trade }: TradeView): string {
  const name = JSON.stringify([deploymentId, side, trade.id]);
  return `trade_${hash('sha256', name, 'base64url').slice(0, 22)}`;
}

const CanaryTrade = builder.objectRef<TradeView>('CanaryTrade').implement({
  description: 'A closed trade of one side, or an attempt that failed.',
  extensions: costs(2),
  fields: (t) => ({
    id: t.id({ description: 'Opaque and unique over all trades, for caches of clients.', resolve: uniqueId }),
    tradeId: t.id({
      description: "The owner's id for it, unique within the side.",
      resolve: ({ trade }) => trade.id,
    }),
    side: t.expose('side', { type: SideType, description: 'Whose trade.' }),
    at: t.field({
      type: 'DateTime',
      description: 'When it was closed.',
      resolve: ({ trade }) => trade.at,
    }),
    pnlUsd: t.field({
      type: 'Decimal',
      nullable: true,
      description: `${fields.pnlUsd} Null for an error.`,
      resolve: ({ trade }) => trade.pnlUsd,
    }),
    feesUsd: t.field({ type: 'Decimal', description: fields.feesUsd, resolve: ({ trade }) => trade.feesUsd }),
    gasUsd: t.field({ type: 'Decimal', description: fields.gasUsd, resolve: ({ trade }) => trade.gasUsd }),
    netPnlUsd: t.field({
      type: 'Decimal',
      description: 'Profit and loss after fees and gas, USD.',
      resolve: ({ trade }) => netPnlUsd(trade),
    }),
    notionalUsd: t.field({
      type: 'Decimal',
      nullable: true,
      description: fields.notionalUsd,
      resolve: ({ trade }) => trade.notionalUsd,
    }),
    error: t.string({
      nullable: true,
      description: `${fields.error} Null for a trade.`,
      resolve: ({ trade }) => trade.error,
    }),
    signalId: t.string({
      nullable: true,
      description: `${fields.signalId} Null if the trade has none.`,
      resolve: ({ trade }) => trade.signalId ?? null,
    }),
    capitalUsd: t.field({
      type: 'Decimal',
      description: 'What the side worked with when it was closed, USD: its return is computed on it.',
      resolve: ({ trade }) => trade.capitalUsd,
    }),
    recordedAt: t.field({
      type: 'DateTime',
      description: 'When Serin took it.',
      resolve: ({ trade }) => trade.recordedAt,
    }),
  }),
});

const TradeConnection = connectionType('CanaryTrade', CanaryTrade, { one: 'a trade', many: 'trades' });

builder.objectField(DeploymentRef, 'trades', (t) =>
  t.field({
    type: TradeConnection,
    description: 'The recorded trades of a side, the earliest first; none where it is measured otherwise.',
    args: {
      side: t.arg({ type: SideType, required: true, description: 'Whose trades.' }),
      first: t.arg.int({ description: FIRST }),
      after: t.arg.string({ description: AFTER }),
    },
    resolve: async ({ state }, { side, ...args }, { reads }) => {
      const page = readPage(args);
      const found = await readTrades(
        reads.db,
        { deploymentId: state.id, side },
        { limit: page.limit + 1, after: readCursor('after', args.after, parsePlaceInTime) },
      );
      const views = found.map((trade): TradeView => ({ deploymentId: state.id, trade, side }));
      return toConnection(views, page, args, ({ trade }) => formatPlace(trade.at, trade.id));
    },
  }),
);
