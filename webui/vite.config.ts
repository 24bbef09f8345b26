import react from '@vitejs/plugin-react';
import license from 'rollup-plugin-license';
import { defineConfig, type Plugin } from 'vite';

/** Names the page's own code in the HTML: it is fetched beside the entry, which asks the server for the first answers. */
const preload: Plugin = {
  name: 'preload-page',
  transformIndexHtml: {
    order: 'post',
    handler: (_, { bundle }) =>
      Object.values(bundle ?? {})
        .filter((part) => part.type === 'chunk')
        .filter((chunk) => chunk.facadeModuleId?.endsWith('/src/page.tsx'))
        .flatMap((chunk) => [chunk.fileName, ...chunk.imports])
        .map((name) => ({ tag: 'link', attrs: { rel: 'modulepreload', crossorigin: true, href: `./${name}` }, injectTo: 'head' })),
  },
};

// The bundle works below any path, so all its addresses are relative. Its licences go with it.
export default defineConfig({
  base: './',
  plugins: [react(), preload],
  build: {
    target: ['chrome123', 'firefox120', 'safari17.5'], // the first that know light-dark()
    outDir: '../headrace/api/page_files',
    emptyOutDir: true,
    assetsDir: 'ui',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
    rollupOptions: {
      plugins: [
        license({ thirdParty: { includePrivate: false, output: '../headrace/api/page_files/LICENSES.txt' } }),
      ],
    },
  },
});
