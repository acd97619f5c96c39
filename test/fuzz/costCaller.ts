/** A caller in a process of its own: times reads, or sends one document again and again until it is stopped. */
export interface CallerTask {
  readonly url: string;
  readonly key: string;
  readonly query: string;
  /** Reads to time; 0 sends the document until the process is killed. */
  readonly reads: number;
}

async function send({ url, key, query }: CallerTask): Promise<void> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query }),
  });
  await response.arrayBuffer();
}

/** Milliseconds of each read, with a pause after it. */
async function timeReads(task: CallerTask): Promise<number[]> {
  const times: number[] = [];
  while (times.length < task.reads) {
    const began = performance.now();
    await send(task);
    times.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return times;
}

process.on('message', async (task: CallerTask) => {
  if (task.reads > 0) return process.send?.(await timeReads(task));
  process.send?.([]);
  while (process.connected) await send(task);
});
process.on('disconnect', () => process.exit());
