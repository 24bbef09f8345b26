import react from '@vitejs/plugin-react';
import license from 'rollup-plugin-license';
import { defineConfig } from 'vite';

// The bundle works below any path, so all its addresses are relative. Its licences go with it.
export default defineConfig({
  base: './',
  plugins: [react()],
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
