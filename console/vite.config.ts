/** Builds the console into `dist/console`: static files that the server hands out, compressed here once for all. */
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** Files smaller than this gain nothing. */
const COMPRESS_ABOVE_BYTES = 1024;

/** Writes `file.br` and `file.gz` beside every text file. */
function precompress(): Plugin {
  const compress = {
    br: (source: Buffer) =>
      promisify(brotliCompress)(source, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }),
    gz: (source: Buffer) => promisify(gzip)(source, { level: 9 }),
  };
  return {
    name: 'serin-precompress',
    apply: 'build',
    enforce: 'post',
    generateBundle: {
      order: 'post',
      async handler(_options, bundle) {
        const files = Object.values(bundle).map((file) => ({
          name: file.fileName,
          source: Buffer.from(file.type === 'chunk' ? file.code : file.source),
        }));
        for (const { name, source } of files) {
          if (source.length < COMPRESS_ABOVE_BYTES || !/\.(js|css|html|svg)$/.test(name)) continue;
          for (const [ending, by] of Object.entries(compress)) {
            this.emitFile({ type: 'asset', fileName: `${name}.${ending}`, source: await by(source) });
          }
        }
      },
    },
  };
}

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), precompress()],
  build: {
    outDir: '../dist/console',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    // The Content-Security-Policy admits files of this server alone: nothing may become a data: address.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  // `npx vite console` serves the sources beside a Serin that runs on its usual port.
  server: { proxy: { '/graphql': { target: 'http://127.0.0.1:4000', ws: true } } },
});
