// Starts Petrel and Debian's Chromium for the browser tests.
//
//   PETREL_BIN          the program; each test file starts its own in an empty folder
//   PETREL_URL          test a server that already runs instead (not for what stops it)
//   PETREL_SCREENSHOTS  folder that pictures are written to; without it they are dropped

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const kChromium = process.env.CHROMIUM ?? '/usr/bin/chromium';
const kReadySeconds = 20;
// Below the range that the kernel hands out to clients.
const kFirstPort = 24000;
const kPorts = 2000;

function isFree(port) {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

async function freePort() {
  const offset = (process.pid * 7) % kPorts;
  for (let i = 0; i < kPorts; i += 1) {
    const port = kFirstPort + ((offset + i) % kPorts);
    if (await isFree(port)) return port;
  }
  throw new Error('no free loopback port');
}

export async function waitFor(what, condition, seconds = 15) {
  const deadline = Date.now() + seconds * 1000;
  let last;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}${last ? ` (last: ${last.message})` : ''}`);
    await sleep(50);
  }
}

export async function api(base, path_, params = {}) {
  const url = new URL(path_, base);
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, String(value));
  const response = await fetch(url);
  const answer = await response.json();
  if (answer.status !== 'success') throw new Error(`${url}: ${answer.error}`);
  return answer.data;
}

// A server of our own in an empty folder; stop() and start() keep folder and port.
export class Server {
  static async make(flags = []) {
    if (!process.env.PETREL_BIN) throw new Error('set PETREL_BIN to the program, or PETREL_URL to a running server');
    const server = new Server();
    server.folder = mkdtempSync(path.join(os.tmpdir(), 'petrel-browser-'));
    server.port = await freePort();
    server.base = `http://127.0.0.1:${server.port}/`;
    server.flags = flags;
    await server.start();
    return server;
  }

  async start() {
    this.output = '';
    this.process = spawn(
      path.resolve(process.env.PETREL_BIN),
      [`--web.listen-address=127.0.0.1:${this.port}`, `--storage.tsdb.path=${path.join(this.folder, 'data')}`, ...this.flags],
      { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const collect = (chunk) => {
      this.output = (this.output + chunk).slice(-20_000);
    };
    this.process.stdout.on('data', collect);
    this.process.stderr.on('data', collect);
    this.exited = new Promise((resolve) => {
      this.process.once('exit', resolve);
    });
    try {
      await waitFor('Petrel is ready', async () => {
        if (this.process.exitCode !== null) throw new Error(`it ended with status ${this.process.exitCode}`);
        return (await fetch(new URL('-/ready', this.base))).status === 200;
      }, kReadySeconds);
    } catch (error) {
      this.process.kill('SIGKILL');
      throw new Error(`${error.message}\n${this.output}`);
    }
  }

  async stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    await this.exited;
  }

  async close() {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// The server under test: { base, close() }.
export async function serverUnderTest() {
  if (process.env.PETREL_URL) return { base: new URL('/', process.env.PETREL_URL).href, close: async () => {} };
  return Server.make();
}

// A browser of our own with an empty profile. open() gives a page that records what no page
// of ours may do: errors on the console, failed requests, requests to another origin.
export class Browser {
  static async start() {
    const browser = new Browser();
    browser.profile = mkdtempSync(path.join(os.tmpdir(), 'petrel-chromium-'));
    browser.context = await chromium.launchPersistentContext(browser.profile, {
      executablePath: kChromium,
      headless: true,
      viewport: { width: 1440, height: 900 },
      timezoneId: 'UTC',
      locale: 'en-GB',
      args: [
        '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync',
      ],
    });
    return browser;
  }

  // prepare(page) runs before the address is opened.
  async open(url, prepare = async () => {}) {
    const page = await this.context.newPage();
    const origin = new URL(url).origin;
    const faults = [];
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') faults.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => faults.push(`page error: ${error.message}`));
    page.on('requestfailed', (request) => {
      faults.push(`request failed: ${request.url()} ${request.failure()?.errorText}`);
    });
    page.on('response', (response) => {
      if (response.status() >= 400) faults.push(`status ${response.status()}: ${response.url()}`);
    });
    page.on('request', (request) => {
      const target = new URL(request.url());
      if (target.protocol !== 'data:' && target.origin !== origin) faults.push(`request to ${request.url()}`);
    });
    await prepare(page);
    await page.goto(url);
    return { page, faults };
  }

  async close() {
    await this.context.close();
    rmSync(this.profile, { recursive: true, force: true });
  }
}

export async function screenshot(page, name, options = {}) {
  await page.evaluate(() => document.fonts.ready);
  const folder = process.env.PETREL_SCREENSHOTS;
  if (folder) mkdirSync(folder, { recursive: true });
  return page.screenshot({ ...options, ...(folder ? { path: path.join(folder, `${name}.png`) } : {}) });
}

// The lines a chart has drawn, by the chart's name, once every chart has some.
export async function drawnCharts(page, seconds = 30) {
  return waitFor('four charts with at least two points', async () => {
    const charts = await page.evaluate(() =>
      [...document.querySelectorAll('[data-chart]')].map((element) => ({
        chart: element.dataset.chart,
        points: Number(element.dataset.points ?? 0),
        last: JSON.parse(element.dataset.lastValues ?? '[]'),
      })),
    );
    const all = ['cpu', 'memory', 'disk', 'network'].every((name) =>
      charts.some(({ chart, points, last }) => chart === name && points >= 2 && last.length > 0),
    );
    return all && charts;
  }, seconds);
}
