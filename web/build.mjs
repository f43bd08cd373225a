// Builds dist/: type check, one script and one style sheet with hashed names, index.html.
// Runs on Node 18. `--watch` builds again on every change and leaves the types unchecked.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, watch, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import esbuild from 'esbuild';

const root = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(root, 'dist');
const fresh = path.join(root, 'dist.new'); // swapped in whole, so that no half-built page is embedded
const kGzipBudget = 100_000; // bytes on the wire for a first visit, font included

// What is shipped to browsers and so carries its licence along.
const shipped = ['preact', '@preact/signals', '@preact/signals-core', 'uplot'];

function checkTypes() {
  const result = spawnSync(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '--noEmit', '-p', root], {
    stdio: 'inherit',
  });
  if (result.status !== 0) throw new Error('the types do not fit');
}

function licences() {
  const font = `Inter (OFL-1.1)\n\n${readFileSync(path.join(root, 'fonts/LICENSE'), 'utf8').trim()}\n`;
  return shipped
    .map((name) => {
      const folder = path.join(root, 'node_modules', name);
      const { version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
      const text = readFileSync(path.join(folder, 'LICENSE'), 'utf8').trim();
      return `${name} ${version} (${license})\n\n${text}\n`;
    })
    .concat(font)
    .join(`\n${'-'.repeat(72)}\n\n`);
}

function hashed(name, bytes) {
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 8);
  const { name: stem, ext } = path.parse(name);
  const file = `assets/${stem}-${hash}${ext}`;
  writeFileSync(path.join(fresh, file), bytes);
  return file;
}

async function build() {
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(path.join(fresh, 'assets'), { recursive: true });
  const { metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: { main: 'src/main.tsx', early: 'src/early.ts' },
    outdir: path.join(fresh, 'assets'),
    entryNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['chrome100', 'firefox100', 'safari15.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    loader: { '.woff2': 'file' },
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
  const outputs = Object.keys(metafile.outputs).map((file) => path.relative(fresh, path.join(root, file)));
  const output = (start, end) => {
    const found = outputs.find((file) => file.startsWith(`assets/${start}`) && file.endsWith(end));
    if (!found) throw new Error(`no output ${start}*${end}`);
    return found;
  };
  const names = {
    favicon: hashed('favicon.svg', readFileSync(path.join(root, 'src/favicon.svg'))),
    early: output('early-', '.js'),
    font: output('inter-', '.woff2'),
    style: output('main-', '.css'),
    main: output('main-', '.js'),
  };
  const html = readFileSync(path.join(root, 'src/index.html'), 'utf8').replace(/%(\w+)%/g, (_, name) => {
    if (!(name in names)) throw new Error(`index.html: %${name}% is nothing the build makes`);
    return names[name];
  });
  writeFileSync(path.join(fresh, 'index.html'), html);
  writeFileSync(path.join(fresh, 'licenses.txt'), licences());

  let total = 0;
  for (const file of ['index.html', ...Object.values(names)]) {
    const bytes = readFileSync(path.join(fresh, file));
    const size = file.endsWith('.woff2') ? bytes.length : gzipSync(bytes, { level: 9 }).length;
    total += size;
    console.log(`${String(size).padStart(7)}  ${file}`);
  }
  console.log(`${String(total).padStart(7)}  bytes gzip in all, at most ${kGzipBudget}`);
  if (total > kGzipBudget) throw new Error('over the size budget');

  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);
}

if (process.argv.includes('--watch')) {
  await build();
  let timer;
  watch(path.join(root, 'src'), { recursive: process.platform !== 'linux' }, () => {
    clearTimeout(timer);
    timer = setTimeout(() => build().catch((error) => console.error(error.message)), 50);
  });
} else {
  try {
    if (!process.argv.includes('--no-check')) checkTypes();
    await build();
  } catch (error) {
    console.error(`web: ${error.message}`);
    process.exit(1);
  }
}
