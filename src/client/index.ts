/** What a client of Serin may import: `serin/client`, also packed alone as `serin-client`. */
export type { Allocation } from './allocations.ts';
export type { Credentials, Endpoint } from './endpoint.ts';
export { FeedRefused, SerinError, SerinUnavailable } from './errors.ts';
export { type Delivery, type FollowOptions, followFeed, followState } from './followFeed.ts';
export type { HttpOptions, Variables } from './http.ts';
export {
  type CanaryStatus,
  type CommandInput,
  type CommandInputs,
  type CommandName,
  type CommandResult,
  type DeploymentState,
  type DomainError,
  isEnded,
  type RaisingInput,
  type RollbackPlan,
  type Side,
  type SideFigures,
  type Trade,
  type TradesResult,
} from './operations.ts';
export type { ReportResult } from './reporter.ts';
export { connectSerin, type FeedOptions, SerinClient } from './serin.ts';
export { DeploymentSide, type SideOptions } from './side.ts';
export type { Totals } from './totals.ts';
export type { SocketOptions } from './webSocket.ts';
