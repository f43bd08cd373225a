// Makes the README's picture of a running server's home page:
//   node tests/browser/picture.mjs http://127.0.0.1:9090/ docs/images/home.png [dark|light]

import { Browser, drawnCharts } from './harness.mjs';

const [url, file, colorScheme = 'dark'] = process.argv.slice(2);
if (!file) {
  console.error('usage: node picture.mjs URL FILE.png [dark|light]');
  process.exit(2);
}

const browser = await Browser.start();
try {
  const { page, faults } = await browser.open(url, async (fresh) => {
    await fresh.emulateMedia({ colorScheme });
    await fresh.setViewportSize({ width: 1440, height: 960 });
  });
  await drawnCharts(page);
  await page.locator('#alerts[data-firing]').waitFor();
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: file });
  for (const fault of faults) console.error(fault);
} finally {
  await browser.close();
}
