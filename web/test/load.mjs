// load('format.ts') imports a module of src/ as Node sees it: bundled, types removed. Node
// 18 does not read TypeScript.

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import esbuild from 'esbuild';

// Times in the expectations are in this zone, east of Greenwich and with a half hour.
process.env.TZ = 'Asia/Kolkata';

const source = path.join(path.dirname(fileURLToPath(import.meta.url)), '../src');

// Modules loaded together share their state, such as the settings' signals.
export async function load(...names) {
  const out = mkdtempSync(path.join(os.tmpdir(), 'petrel-web-test-'));
  try {
    await esbuild.build({
      stdin: {
        contents: names.map((name) => `export * from './${name}';`).join('\n'),
        resolveDir: source,
      },
      outfile: path.join(out, 'bundle.mjs'),
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node18',
      jsx: 'automatic',
      jsxImportSource: 'preact',
      sourcemap: 'inline',
      logLevel: 'warning',
    });
    return await import(pathToFileURL(path.join(out, 'bundle.mjs')).href);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
