/** PostGraphile 5 asks for Node 22; the one thing of it that it misses on Node 20 is this. */
Promise.withResolvers ??= function withResolvers() {
  let resolve;
  let reject;
  const promise = new this((done, failed) => {
    resolve = done;
    reject = failed;
  });
  return { promise, resolve, reject };
};
