// Bundles each test/*.test.ts for Node and runs node's own test runner on them: works on
// Node 18, which does not read TypeScript.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const out = mkdtempSync(path.join(os.tmpdir(), 'petrel-web-test-'));
const tests = readdirSync(here).filter((name) => name.endsWith('.test.ts'));

let status = 1;
try {
  await esbuild.build({
    entryPoints: tests.map((name) => path.join(here, name)),
    outdir: out,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node18',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    sourcemap: 'inline',
    logLevel: 'warning',
  });
  const files = tests.map((name) => path.join(out, name.replace(/\.ts$/, '.mjs')));
  // Times in the expectations are in this zone, east of Greenwich and with a half hour.
  const env = { ...process.env, TZ: 'Asia/Kolkata' };
  const reporter = Number(process.versions.node.split('.')[0]) >= 20 ? ['--test-reporter=tap'] : [];
  status = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...reporter, ...files], { stdio: 'inherit', env }).status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
process.exit(status);
